"""Azure's virtual machines as data."""

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
from personadesk.providers.azure import prices

_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_APPS = "https://portal.azure.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade"

FACTS = ProviderFacts(
    id="azure",
    title="Azure",
    site="https://portal.azure.com/#browse/Microsoft.Compute%2FVirtualMachines",
    billing="https://portal.azure.com/#view/Microsoft_Azure_GTM/ModernBillingMenuBlade",
    quota="https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas",
    status="https://azure.status.microsoft",
    docs="https://learn.microsoft.com/rest/api/compute/",
    base_url="https://management.azure.com",
    cheapest=Estimate(prices.HOURLY["Standard_NV36ads_A10_v5"], "A10", prices.DATE),
    fields=(
        Field(
            "tenant_id",
            T("Tenant ID"),
            where="https://portal.azure.com/#view/Microsoft_AAD_IAM/ActiveDirectoryMenuBlade/~/Overview",
            secret=False,
            pattern=rf"{_GUID}|[\w-]+(\.[\w-]+)+",
        ),
        Field("client_id", T("Application (client) ID"), where=_APPS, secret=False, pattern=_GUID),
        Field(
            "client_secret",
            T("Client secret (its value, not its ID)"),
            where=_APPS,
            rights=T("The role “Contributor” on the subscription."),
        ),
        Field(
            "subscription_id",
            T("Subscription ID"),
            where="https://portal.azure.com/#view/Microsoft_Azure_Billing/SubscriptionsBladeV2",
            secret=False,
            pattern=_GUID,
        ),
        Field(
            "locations",
            T("Regions to look in, with commas between"),
            where="https://azure.microsoft.com/explore/global-infrastructure/geographies/",
            secret=False,
            optional=True,
            default="eastus,southcentralus,westus3,westeurope,swedencentral",
            pattern=r"[a-z0-9]+(\s*,\s*[a-z0-9]+)*",
        ),
    ),
    can=Capabilities(
        stop=yes(T("PersonaDesk deallocates: only that ends the bill for the GPU.")),
        start=yes(T("It may find that no GPU is free in its region.")),
        restart=YES,
        volume=no(T("A machine keeps its own disk over a stop; PersonaDesk makes no other here.")),
        static_address=yes(T("Each machine has one; it is billed, also while the machine is stopped.")),
        spot=yes(T("Azure may take it back at any time, with 30 seconds' notice.")),
        balance=no(T("Azure bills afterwards.")),
        prices=yes(T("From Azure's public price list.")),
        stock=no(T("Azure tells which sizes an account may have, not whether one is free.")),
        logs=no(T("Azure keeps them only where diagnostics are paid for.")),
        figures=no(T("Azure doesn't tell how busy a GPU is; the machine itself does.")),
        known_host_key=YES,
        idempotent=YES,
        ends_itself=no(T("What switches itself off there stays billed in full.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(Answer.PARTLY, T("Kept while it runs; a stopped one may find none.")),
        keeps_address=Promise(Answer.YES, T("Its address is fixed, which is billed.")),
        simple=Promise(Answer.PARTLY, T("Only “deallocate” ends the bill; PersonaDesk does just that.")),
        starts_itself=Promise(Answer.YES, T("Our service starts the voice with the machine.")),
    ),
    manners=Manners(per_second=5.0, burst=20, poll_s=8.0, calm_poll_s=45.0, boot_limit_s=900.0),
    unit="virtual machine",
    stop_costs=T("Its disk and its address stay billed."),
    end_destroys=T("Its resource group with all in it: disk, address and network."),
)  # fmt: skip

LOGIN = "https://login.microsoftonline.com"
SCOPE = "https://management.azure.com/.default"
PRICES = "https://prices.azure.com"

COMPUTE = "2026-03-01"
"""Versions of the APIs, as their official contracts have them."""
NETWORK = "2025-07-01"
SKUS = "2021-07-01"
GROUPS = "2021-04-01"
SUBSCRIPTIONS = "2022-12-01"
PERMISSIONS = "2022-04-01"

USER = "azureuser"
DISK_TYPE = "StandardSSD_LRS"

SIZES = {
    "Standard_NV36ads_A10_v5": ("A10", 24.0, 1), "Standard_NV36adms_A10_v5": ("A10", 24.0, 1),
    "Standard_NV72ads_A10_v5": ("A10", 24.0, 2), "Standard_NC24ads_A100_v4": ("A100 80GB", 80.0, 1),
    "Standard_NC48ads_A100_v4": ("A100 80GB", 80.0, 2), "Standard_NC96ads_A100_v4": ("A100 80GB", 80.0, 4),
    "Standard_NC40ads_H100_v5": ("H100 NVL", 94.0, 1), "Standard_NC80adis_H100_v5": ("H100 NVL", 94.0, 2),
    "Standard_NC4as_T4_v3": ("T4", 16.0, 1), "Standard_NC8as_T4_v3": ("T4", 16.0, 1),
}  # fmt: skip
"""GPU, its memory in GB and count by size, since Azure's API does not tell the memory. Sizes with a part of a GPU are
not here, and so never offered."""
LICENSED = "_A10_"
"""In the names of sizes whose GPU is handed on in parts: they need NVIDIA's GRID driver, not the usual one."""
IMAGE = {
    "publisher": "microsoft-dsvm",
    "offer": "ubuntu-hpc",
    "sku": "2404",
    "version": "latest",
}
"""Ubuntu with NVIDIA's driver in it."""
PLAIN_IMAGE = {
    "publisher": "Canonical",
    "offer": "ubuntu-24_04-lts",
    "sku": "server",
    "version": "latest",
}
GRID_DRIVER = (
    "command -v nvidia-smi >/dev/null || { apt-get update && apt-get install -y build-essential "
    "linux-headers-$(uname -r) && curl -fsSL -o /tmp/grid.run "
    "'https://go.microsoft.com/fwlink/?linkid=874272' && sh /tmp/grid.run --silent --dkms && rm /tmp/grid.run; }"
)
"""Microsoft's own download of the driver for `LICENSED` sizes, run once at the first start."""

PLACES = {
    "eastus": "Virginia, US", "eastus2": "Virginia, US", "centralus": "Iowa, US", "southcentralus": "Texas, US",
    "westus": "California, US", "westus2": "Washington, US", "westus3": "Arizona, US",
    "canadacentral": "Toronto, CA", "brazilsouth": "São Paulo, BR", "northeurope": "Ireland",
    "westeurope": "Netherlands", "uksouth": "London, UK", "francecentral": "Paris, FR",
    "germanywestcentral": "Frankfurt, DE", "swedencentral": "Gävle, SE", "switzerlandnorth": "Zurich, CH",
    "italynorth": "Milan, IT", "polandcentral": "Warsaw, PL", "japaneast": "Tokyo, JP", "koreacentral": "Seoul, KR",
    "southeastasia": "Singapore", "eastasia": "Hong Kong", "australiaeast": "Sydney, AU", "centralindia": "Pune, IN",
    "uaenorth": "Dubai, AE",
}  # fmt: skip

SEE_RIGHTS = ("Microsoft.Compute/virtualMachines/read", "Microsoft.Compute/skus/read")
RENT_RIGHTS = (
    "Microsoft.Resources/subscriptions/resourceGroups/write", "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/start/action", "Microsoft.Compute/virtualMachines/restart/action",
    "Microsoft.Network/virtualNetworks/write", "Microsoft.Network/publicIPAddresses/write",
    "Microsoft.Network/networkSecurityGroups/write", "Microsoft.Network/networkInterfaces/write",
)  # fmt: skip
END_RIGHTS = (
    "Microsoft.Compute/virtualMachines/deallocate/action",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
)
