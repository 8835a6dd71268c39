"""What Paperspace rents, and for how much: its API has no list of either."""

from __future__ import annotations

from typing import NamedTuple

DATE = "2026-09-20"
"""When the prices were read at https://www.paperspace.com/pricing; places of the types from DigitalOcean's page
"Machines Availability"."""


class Kind(NamedTuple):
    """One machine type with one GPU that can run the model.

    Attributes:
        gpu: Usual name of its GPU.
        regions: Where Paperspace has it.
        price: Dollars per hour; None where the page names only one for long commitments.
    """

    gpu: str
    regions: tuple[str, ...]
    price: float | None


KINDS = {
    "A4000": Kind("RTX A4000", ("ny2", "ams1", "ca1"), 0.76),
    "A5000": Kind("RTX A5000", ("ny2", "ca1"), 1.38),
    "A6000": Kind("RTX A6000", ("ny2", "ca1"), 1.89),
    "A100": Kind("A100 40GB", ("ny2",), None),
    "A100-80G": Kind("A100 80GB", ("ny2",), None),
    "H100": Kind("H100", ("ny2",), 3.09),
}
"""Older types (P4000 to V100) are left out: PyTorch's builds of today do not run on their GPUs."""
PLACES = {"ny2": "East Coast (NY2)", "ca1": "West Coast (CA1)", "ams1": "Europe (AMS1)"}
"""Paperspace's own names of its regions."""
