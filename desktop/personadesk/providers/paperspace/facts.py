"""Paperspace as data."""

from __future__ import annotations

from personadesk.domain.provider import (
    YES,
    Answer,
    Capabilities,
    Estimate,
    Field,
    FourAnswers,
    Manners,
    Promise,
    ProviderFacts,
    no,
    yes,
)
from personadesk.domain.text import T
from personadesk.providers.paperspace import prices

FACTS = ProviderFacts(
    id="paperspace",
    title="Paperspace",
    site="https://console.paperspace.com",
    billing="https://console.paperspace.com/account/billing",
    quota="https://cloudsupport.digitalocean.com",
    status="https://status.paperspace.com",
    docs="https://docs.digitalocean.com/reference/paperspace/api-reference",
    base_url="https://api.paperspace.com/v1",
    cheapest=Estimate(prices.KINDS["A5000"].price or 0.0, "RTX A5000", prices.DATE),
    unit="machine",
    fading=True,
    fields=(
        Field(
            "api_key",
            T("API key"),
            where="https://console.paperspace.com/settings/apikeys",
            rights=T(
                "A team's API key; it has all of its owner's rights. A DigitalOcean token does not work here. "
                "Paperspace may shut this API: DigitalOcean moves its users to GPU Droplets."
            ),
            pattern=r"\S{16,}",
        ),
    ),
    can=Capabilities(
        stop=yes(T("The disk, and a static IP, stay billed.")),
        start=yes(T("It may have to wait for a free GPU.")),
        restart=YES,
        volume=no(T("A machine's disk stays while it is stopped; Paperspace has no disks that outlive a machine.")),
        static_address=yes(T("A static IP, billed as long as it is kept.")),
        spot=no(T("Paperspace rents no machines that may be taken back.")),
        balance=no(T("Paperspace's API does not tell it.")),
        prices=no(T("Paperspace's API tells a price only once a machine is made; until then its price page is used.")),
        stock=YES,
        logs=no(T("Paperspace's API has no logs of machines.")),
        figures=no(T("Paperspace's API has no figures of machines; the machine tells them itself.")),
        known_host_key=yes(T("By a startup script at the first start.")),
        idempotent=no(T("Paperspace takes no token; PersonaDesk looks for its tag before it asks again.")),
        ends_itself=no(T("Only with the account's key, which PersonaDesk puts on no machine.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.PARTLY, T("Kept while it runs; a stopped one may have to wait for a GPU.")),
        keeps_address=Promise(Answer.YES, T("A static IP stays.")),
        simple=Promise(Answer.YES, T("It stops and starts; its disk and a static IP stay billed.")),
        starts_itself=Promise(Answer.YES, T("Our service starts with the machine.")),
    ),
    manners=Manners(per_second=3.0, burst=12, poll_s=5.0, calm_poll_s=30.0, boot_limit_s=900.0),
    stop_costs=T("A stopped machine goes on costing its disk and a static IP."),
    end_destroys=T("Its disk with everything on it, and its static IP."),
)  # fmt: skip

SSH_USER = "paperspace"
DISK_SIZES = (50, 100, 250, 500, 1000, 2000)
"""In GB; Paperspace sells no others of a sensible size."""
HOURS_A_MONTH = 730.0
"""`storageRate` is per month, `usageRate` per hour, as its console shows them; the contract does not say."""
