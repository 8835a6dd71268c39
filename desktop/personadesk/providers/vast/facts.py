"""Vast.ai as data. What it says of itself is from its documentation and its OpenAPI 1.0.0 of August 2026."""

from __future__ import annotations

from typing import Any

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

IMAGE = "vastai/base-image:@vastai-automatic-tag"
"""Vast.ai's own; which CUDA it has is chosen to fit the host."""
IMAGE_GB = 20
"""Room for the image itself, which shares the disk."""

HOST_WANTED: dict[str, dict[str, Any]] = {
    "rentable": {"eq": True},
    "rented": {"eq": False},
    "verified": {"eq": True},
    "gpu_arch": {"eq": "nvidia"},
    "cpu_arch": {"eq": "amd64"},
    # bfloat16 and today's kernels want Ampere or newer; Vast.ai counts 8.0 as 800.
    "compute_cap": {"gte": 800},
    "cuda_max_good": {"gte": 12.4},
    "reliability": {"gte": 0.98},
    # In Mbit/s: 15 GB of model in a quarter of an hour.
    "inet_down": {"gte": 200},
    # One for SSH, and one to spare.
    "direct_port_count": {"gte": 2},
    # A host that goes away tomorrow is none: seconds.
    "duration": {"gte": 3 * 86400},
}
"""Which hosts are good enough: many on the market are not."""
MOST_OFFERS = 64
BID_ABOVE = 1.1
"""Our bid for an interruptible machine, times the least that is taken now: the very least is outbid at once."""

_ITSELF = 'https://console.vast.ai/api/v0/instances/$CONTAINER_ID/ -H "Authorization: Bearer $CONTAINER_API_KEY"'
END_ITSELF = (
    f"curl -fsSL -X DELETE {_ITSELF} || curl -fsSL -X PUT {_ITSELF} "
    """-H "Content-Type: application/json" -d '{"state": "stopped"}'"""
)
"""With the key that is in each instance's environment and is good for that instance alone."""

INSTANCE_READ = "instance_read"
INSTANCE_WRITE = "instance_write"
USER_READ = "user_read"
"""Rights, in the words of docs.vast.ai/api-reference/permissions."""

FACTS = ProviderFacts(
    id="vast",
    title="Vast.ai",
    site="https://cloud.vast.ai/instances/",
    billing="https://cloud.vast.ai/billing/",
    docs="https://docs.vast.ai/api-reference",
    base_url="https://console.vast.ai",
    unit="instance",
    fields=(
        Field(
            name="api_key",
            title=T("API key"),
            where="https://cloud.vast.ai/manage-keys/",
            rights=T(
                "A key with the permissions “user_read”, “instance_read”, “instance_write” and “misc” "
                "(it finds offers)."
            ),
            pattern=r"[A-Za-z0-9_\-]{20,}",
        ),
    ),
    can=Capabilities(
        stop=yes(T("A stop gives the GPU away; the disk stays on that host and is billed.")),
        start=yes(T("It starts when the GPU of that very host is free again, which may be never.")),
        restart=YES,
        volume=no(T("Vast.ai's volumes are tied to one host, and go with it.")),
        static_address=no(T("Ports change with every start, and many hosts share an address.")),
        spot=yes(T("An instance with the lowest bid is stopped as soon as somebody bids more.")),
        balance=YES,
        prices=YES,
        stock=yes(T("Each offer is one machine, and is gone when somebody takes it.")),
        logs=YES,
        figures=YES,
        known_host_key=no(
            T("Vast.ai starts its own SSH daemon, with its own key, before anything of ours runs.")
        ),
        idempotent=no(
            T("The API takes no token: we look for our label among the instances first.")
        ),
        ends_itself=yes(T("It destroys itself with the key that Vast.ai gives each instance.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.NO, T("Hosts come and go; they are other people's machines.")),
        keeps_address=Promise(Answer.NO, T("Ports change at each start.")),
        simple=Promise(Answer.PARTLY, T("A start needs that very host to be free.")),
        starts_itself=Promise(
            Answer.PARTLY, T("Our supervisor starts the voice, if the host returns.")
        ),
    ),
    # Vast.ai allows each call once in 1 to 4.5 seconds; it says so only when that was too often.
    manners=Manners(
        per_second=0.5,
        burst=8,
        create_every_s=5.0,
        poll_s=10.0,
        calm_poll_s=30.0,
        boot_limit_s=900.0,
    ),
    stop_costs=T(
        "A stopped instance's disk goes on being billed, at the price that its host asks."
    ),
    end_destroys=T("Destroying an instance deletes everything on it."),
)
