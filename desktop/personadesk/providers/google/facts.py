"""Google Compute Engine as data."""

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
from personadesk.providers.google import prices

FACTS = ProviderFacts(
    id="google",
    title="Google Compute Engine",
    short="Google",
    site="https://console.cloud.google.com/compute/instances",
    billing="https://console.cloud.google.com/billing",
    quota="https://console.cloud.google.com/iam-admin/quotas",
    status="https://status.cloud.google.com",
    docs="https://cloud.google.com/compute/docs/reference/rest/v1",
    base_url="https://compute.googleapis.com",
    cheapest=Estimate(prices.HOURLY["g2-standard-8"], "L4", prices.DATE),
    fields=(
        Field(
            "api_key",
            T("Service account key (JSON)"),
            where="https://console.cloud.google.com/iam-admin/serviceaccounts",
            rights=T(
                "The role “Compute Instance Admin (v1)”; for a fixed address “Compute Network Admin” too."
            ),
            multiline=True,
            pattern=r"(?s)\s*\{.*\}\s*",
        ),
        Field(
            "project",
            T("Project"),
            rights=T("Empty: the project of the key."),
            where="https://console.cloud.google.com/projectselector2/home/dashboard",
            secret=False,
            optional=True,
            pattern=r"[a-z0-9][-a-z0-9.:]*",
        ),
        Field(
            "network",
            T("Network"),
            rights=T("Port 22 must be open in it."),
            where="https://console.cloud.google.com/networking/networks/list",
            secret=False,
            optional=True,
            default="default",
            pattern=r"[a-z][-a-z0-9]*",
        ),
    ),
    can=Capabilities(
        stop=yes(T("The disk, and a fixed address, stay billed.")),
        start=yes(T("It may find that no GPU is free in its zone.")),
        restart=YES,
        volume=no(T("A machine keeps its own disk over a stop; PersonaDesk makes no other here.")),
        static_address=yes(T("It is billed, also while the machine is stopped.")),
        spot=yes(T("Google may take it back at any time, with 30 seconds' notice.")),
        balance=no(T("Google has no API that tells it.")),
        prices=no(T("Compute Engine's API doesn't tell them; ours are from a table.")),
        stock=no(T("Google tells only when a machine is asked for.")),
        logs=yes(T("What the machine writes to its serial port.")),
        figures=no(T("Google doesn't tell how busy a GPU is; the machine itself does.")),
        known_host_key=YES,
        idempotent=YES,
        ends_itself=yes(
            T("It can switch itself off, which ends the bill for the GPU; its disk stays billed.")
        ),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(
            Answer.PARTLY,
            T("Kept while it runs, but for upkeep about once a month; a stopped one may find none."),
        ),
        keeps_address=Promise(Answer.YES, T("With a fixed address, which is billed.")),
        simple=Promise(Answer.YES, T("It starts and stops; the disk stays billed.")),
        starts_itself=Promise(Answer.YES, T("Google starts it again after upkeep, and our service the voice.")),
    ),
    # Reads are limited to 25 a second and project; that is shared with whatever else the project has.
    manners=Manners(per_second=8.0, burst=10, poll_s=5.0, calm_poll_s=30.0, boot_limit_s=600.0),
    unit="instance",
    stop_costs=T("Its disk stays billed, and a fixed address."),
    end_destroys=T("Its disk with everything on it, and its fixed address."),
)  # fmt: skip

API_PATH = "/compute/v1"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_PLACE = "https://oauth2.googleapis.com/token"  # noqa: S105 - a place, not a secret
RIGHTS_PLACE = "https://cloudresourcemanager.googleapis.com"
IMAGE = (
    "projects/ubuntu-os-accelerator-images/global/images/family/"
    "ubuntu-accelerator-2404-amd64-with-nvidia-580"
)
"""Ubuntu with NVIDIA's driver in it, so that nothing has to be built at the first start."""
USER = "ubuntu"
DISK_TYPE = "pd-balanced"
FAMILIES = "(a2|a3|a4|g2|g4)-.*"
"""Machine types that come with their GPUs, as the API's regular expression."""
ENOUGH_MEMORY_MB = 32_000
"""What the voice needs beside its GPU with room to spare; the smallest type that has it is offered."""

GPUS = {
    "nvidia-l4": ("L4", 24.0, "NVIDIA_L4_GPUS"),
    "nvidia-tesla-a100": ("A100 40GB", 40.0, "NVIDIA_A100_GPUS"),
    "nvidia-a100-80gb": ("A100 80GB", 80.0, "NVIDIA_A100_80GB_GPUS"),
    "nvidia-h100-80gb": ("H100", 80.0, ""),
    "nvidia-h100-mega-80gb": ("H100", 80.0, ""),
    "nvidia-h200-141gb": ("H200", 141.0, ""),
    "nvidia-rtx-pro-6000": ("RTX PRO 6000", 96.0, ""),
}
"""Usual name, memory in GB as sold, and the name of a region's quota ("" where regions don't tell it)."""

BY_TYPE = {
    "g2-standard-4": "nvidia-l4", "g2-standard-8": "nvidia-l4", "g2-standard-12": "nvidia-l4",
    "g2-standard-16": "nvidia-l4", "g2-standard-32": "nvidia-l4", "a2-highgpu-1g": "nvidia-tesla-a100",
    "a2-ultragpu-1g": "nvidia-a100-80gb", "a3-highgpu-1g": "nvidia-h100-80gb",
}  # fmt: skip
"""The GPU of a machine type that has one: an instance tells its type, and only some tell their GPUs too."""

PLACES = {
    "us-central1": "Iowa, US", "us-east1": "South Carolina, US", "us-east4": "Virginia, US", "us-east5": "Ohio, US",
    "us-south1": "Texas, US", "us-west1": "Oregon, US", "us-west2": "Los Angeles, US", "us-west3": "Utah, US",
    "us-west4": "Nevada, US", "northamerica-northeast1": "Montreal, CA", "northamerica-northeast2": "Toronto, CA",
    "southamerica-east1": "São Paulo, BR", "europe-west1": "Belgium", "europe-west2": "London, UK",
    "europe-west3": "Frankfurt, DE", "europe-west4": "Netherlands", "europe-west6": "Zurich, CH",
    "europe-west9": "Paris, FR", "europe-central2": "Warsaw, PL", "europe-north1": "Finland",
    "asia-east1": "Taiwan", "asia-east2": "Hong Kong", "asia-northeast1": "Tokyo, JP", "asia-northeast3": "Seoul, KR",
    "asia-south1": "Mumbai, IN", "asia-southeast1": "Singapore", "australia-southeast1": "Sydney, AU",
    "me-west1": "Tel Aviv, IL",
}  # fmt: skip

SEE_RIGHTS = ("compute.instances.list", "compute.machineTypes.list", "compute.regions.list")
RENT_RIGHTS = (
    "compute.instances.create", "compute.instances.setMetadata", "compute.instances.setLabels",
    "compute.instances.start", "compute.instances.reset", "compute.disks.create",
    "compute.subnetworks.use", "compute.subnetworks.useExternalIp",
)  # fmt: skip
END_RIGHTS = ("compute.instances.stop", "compute.instances.delete")


def region_of(zone: str) -> str:
    """Return the region of a zone: `us-central1` of `us-central1-a`."""
    return zone.rpartition("-")[0]


def place_of(zone: str) -> str:
    """Return a zone's place for people, "" when it is not known."""
    return PLACES.get(region_of(zone), "")
