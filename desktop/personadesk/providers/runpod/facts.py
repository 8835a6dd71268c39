"""RunPod as data. What it says of itself is from its documentation and its OpenAPI 2.0.0 of August 2026."""

from __future__ import annotations

from personadesk.domain.provider import (
    YES,
    Answer,
    Capabilities,
    Field,
    FourAnswers,
    Manners,
    Promise,
    ProviderFacts,
    no,
    yes,
)
from personadesk.domain.text import T

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
"""One of RunPod's own; it starts an SSH daemon when it is given a public key."""
CUDA = "12.8"
"""The host's driver must know this CUDA, or the image does not start there."""
CONTAINER_GB = 20
"""The part of a pod's disk that a stop wipes; nothing of ours is on it."""
LEAST_VOLUME_GB = 10

END_ITSELF = 'runpodctl remove pod "$RUNPOD_POD_ID" || runpodctl stop pod "$RUNPOD_POD_ID"'
"""RunPod's own tool, which is in each pod with a key for that pod alone (docs.runpod.io/pods/manage-pods)."""

HOURS_A_MONTH = 730.0
DISK_PRICE = 0.10 / HOURS_A_MONTH
"""Dollars an hour for a GB of a running pod's disk (docs.runpod.io/pods/storage, read in November 2026)."""
STOPPED_DISK_PRICE = 0.20 / HOURS_A_MONTH
"""For a GB of the disk that a stopped pod keeps, as there; the API tells 0 for a stopped pod."""
VOLUME_PRICE = 0.07 / HOURS_A_MONTH
"""For a GB of a network volume, as there."""

READ_WRITE = "Read/Write"
"""The right that a key needs for machines, in the words of RunPod's own form (docs.runpod.io/get-started/api-keys)."""

FACTS = ProviderFacts(
    id="runpod",
    title="RunPod",
    site="https://www.console.runpod.io/pods",
    billing="https://www.console.runpod.io/user/billing",
    status="https://uptime.runpod.io",
    docs="https://docs.runpod.io/api-reference-v2/overview",
    base_url="https://api.runpod.io",
    unit="pod",
    fields=(
        Field(
            name="api_key",
            title=T("API key"),
            where="https://www.console.runpod.io/user/settings",
            rights=T(
                "Under “API Keys”, a key with “Restricted”: “Read/Write” for the REST API, and “Read Only” for "
                "GraphQL, which tells the balance."
            ),
            pattern=r"[A-Za-z0-9_\-]{20,}",
        ),
    ),
    can=Capabilities(
        stop=yes(T("A stop gives the GPU away: it is often gone when the pod is to start again.")),
        start=yes(T("It starts on the same machine only, and without a GPU when that was taken.")),
        restart=YES,
        volume=yes(
            T("A network volume lives in one data center and is billed until it is removed.")
        ),
        static_address=no(T("A pod's address and port change with every start.")),
        spot=no(
            T(
                "The current API makes no interruptible pods, and those of the old one often cannot be had though "
                "they are listed."
            )
        ),
        balance=yes(T("Only with a key that may read GraphQL.")),
        prices=YES,
        stock=YES,
        logs=YES,
        figures=yes(T("Only how busy GPU and CPU are, in percent.")),
        known_host_key=YES,
        idempotent=no(T("The API takes no token: we look for our name among the pods first.")),
        ends_itself=yes(T("It removes itself with the key that RunPod gives each pod.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.NO, T("A pod is tied to one machine; a stop gives its GPU away.")),
        keeps_address=Promise(Answer.NO, T("The address holds the pod's number.")),
        simple=Promise(Answer.PARTLY, T("A start can come back without a GPU.")),
        starts_itself=Promise(
            Answer.PARTLY, T("The pod starts by itself, the voice needs our supervisor.")
        ),
    ),
    # RunPod's contract shows 60 requests a minute and 3000 an hour as an account's limits.
    manners=Manners(per_second=0.8, burst=20, poll_s=5.0, calm_poll_s=30.0, boot_limit_s=900.0),
    stop_costs=T(
        "A stopped pod's disk costs $0.20 per GB a month, twice as much as while it runs; a network volume $0.07."
    ),
    end_destroys=T(
        "Ending a pod deletes everything on its disk; a network volume stays, and stays billed."
    ),
)
