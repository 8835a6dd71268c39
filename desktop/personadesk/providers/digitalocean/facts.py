"""DigitalOcean as data."""

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
    id="digitalocean",
    title="DigitalOcean",
    site="https://cloud.digitalocean.com/gpus",
    billing="https://cloud.digitalocean.com/account/billing",
    quota="https://cloudsupport.digitalocean.com",
    status="https://status.digitalocean.com",
    docs="https://docs.digitalocean.com/reference/api",
    base_url="https://api.digitalocean.com",
    unit="Droplet",
    fields=(
        Field(
            "api_key",
            T("Personal access token"),
            where="https://cloud.digitalocean.com/account/api/tokens",
            rights=T(
                "Custom scopes: read of account, sizes, regions, actions and billing; tag create and read; all of "
                "droplet, ssh_key, reserved_ip and block_storage. A Paperspace key does not work here."
            ),
            pattern=r"\S{16,}",
        ),
    ),
    can=Capabilities(
        stop=no(T("A Droplet that is switched off is billed in full; only ending it ends the bill.")),
        start=yes(T("What you switched off at DigitalOcean can be switched on here.")),
        restart=YES,
        volume=yes(T("A volume in the same region keeps the model, for one Droplet at a time; billed by its size.")),
        static_address=yes(T("A reserved IP; it is free while a Droplet has it, and billed when none does.")),
        spot=no(T("DigitalOcean sells no machines that may be taken back.")),
        balance=YES,
        prices=YES,
        stock=yes(T("As DigitalOcean lists it; a Droplet may still be refused.")),
        logs=no(T("DigitalOcean's API has no logs of Droplets.")),
        figures=no(T("DigitalOcean's API has no figures of GPUs; the machine tells them itself.")),
        known_host_key=YES,
        idempotent=no(T("DigitalOcean takes no token; PersonaDesk looks for its tag before it asks again.")),
        ends_itself=no(T("A Droplet that switches itself off is still billed in full.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.YES, T("It stays yours until you end it, also when it is switched off.")),
        keeps_address=Promise(Answer.YES, T("A reserved IP stays.")),
        simple=Promise(Answer.NO, T("Switched off it is still billed in full.")),
        starts_itself=Promise(Answer.YES, T("Our service starts with the machine.")),
    ),
    # DigitalOcean: 5,000 requests an hour, 250 a minute.
    manners=Manners(per_second=1.3, burst=20, poll_s=5.0, calm_poll_s=30.0, boot_limit_s=900.0),
    end_destroys=T("Its disk with everything on it, and its reserved IP; a volume stays, and stays billed."),
)  # fmt: skip

SSH_USER = "root"
IMAGES = {1: "gpu-h100x1-base", 8: "gpu-h100x8-base"}
"""DigitalOcean's images with NVIDIA's drivers, by number of GPUs."""
STATIC_LABEL = "personadesk-static"
"""On Droplets that are to have a reserved IP: DigitalOcean gives one only once the Droplet is up."""
PLACES = {
    "ams3": "Amsterdam 3", "atl1": "Atlanta 1", "blr1": "Bangalore 1", "fra1": "Frankfurt 1",
    "lon1": "London 1", "nyc1": "New York 1", "nyc2": "New York 2", "nyc3": "New York 3", "ric1": "Richmond 1",
    "sfo2": "San Francisco 2", "sfo3": "San Francisco 3", "sgp1": "Singapore 1", "syd1": "Sydney 1",
    "tor1": "Toronto 1",
}  # fmt: skip
"""DigitalOcean's own names of its regions."""
