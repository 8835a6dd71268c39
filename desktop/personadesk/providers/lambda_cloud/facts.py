"""Lambda as data."""

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

FACTS = ProviderFacts(
    id="lambda",
    title="Lambda",
    site="https://cloud.lambda.ai/instances",
    billing="https://cloud.lambda.ai/settings/billing",
    quota="https://support.lambda.ai",
    status="https://status.lambda.ai",
    docs="https://docs.lambda.ai/api/cloud",
    base_url="https://cloud.lambda.ai",
    unit="instance",
    fields=(
        Field(
            "api_key",
            T("API key"),
            where="https://cloud.lambda.ai/api-keys/cloud-api",
            rights=T("Any Cloud API key; Lambda has no narrower ones."),
            pattern=r"\S{16,}",
        ),
    ),
    can=Capabilities(
        stop=no(T("Lambda has no stop: a machine runs, or it is ended and its disk is gone.")),
        start=no(T("What is ended at Lambda cannot be started again; a new machine takes its place.")),
        restart=YES,
        volume=yes(T("A filesystem in the same region keeps the model; Lambda bills what is used of it.")),
        static_address=no(T("Lambda keeps no addresses: a new machine has a new one.")),
        spot=no(T("Lambda sells no machines that may be taken back.")),
        balance=no(T("Lambda's API does not tell it.")),
        prices=YES,
        stock=YES,
        logs=no(T("Lambda's API has no logs.")),
        figures=no(T("Lambda's API has no figures; the machine tells them itself.")),
        known_host_key=YES,
        idempotent=no(T("Lambda takes no token; PersonaDesk looks for its tag before it asks again.")),
        ends_itself=no(T("Only with the account's key, which PersonaDesk puts on no machine.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.YES, T("It is not taken away while it runs.")),
        keeps_address=Promise(Answer.PARTLY, T("Kept while it runs; a new machine has a new address.")),
        simple=Promise(Answer.NO, T("It can only be ended, which deletes its disk.")),
        starts_itself=Promise(Answer.YES, T("Our service starts with the machine.")),
    ),
    # Lambda: one request a second over all, five launches a minute.
    manners=Manners(
        per_second=1.0, burst=1, create_every_s=12.0, poll_s=10.0, calm_poll_s=30.0,
        boot_limit_s=1500.0,
    ),
    end_destroys=T("Its disk with everything on it; a filesystem stays, and stays billed."),
)  # fmt: skip

SSH_USER = "ubuntu"
MOUNT = "/lambda/nfs/personadesk"
FILESYSTEM = "personadesk"
"""What the names of our filesystems begin with; the region follows."""
