"""Azure's contracts as one judge: compute and network are two documents of one API."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from peers.contracts import Judge, openapi, ready, spec

if TYPE_CHECKING:
    import httpx
    from openapi_core import OpenAPI

COMPUTE = "azure-compute.openapi.json"
NETWORK = "azure-network.openapi.json"
BASE = "https://management.azure.com"


def compute() -> dict[str, Any]:
    """Return the contract of compute without its list of sizes.

    It says itself that the list is out of date and not to be used; new ones are not in it.
    """
    values = spec(COMPUTE)
    del values["components"]["schemas"]["VirtualMachineSizeTypes"]["enum"]
    return values


def is_compute(path: str) -> bool:
    """Return whether the contract of compute has a path; how a call that takes long stands is in none."""
    return "/Microsoft.Compute/" in path and "/operations/" not in path


@functools.cache
def _compute() -> OpenAPI:
    return ready(compute())


class AzureJudge(Judge):
    """Judges what the two documents have; groups, roles, tokens and prices are in neither.

    Their answers leave out what is still under way (201, 202) and all refusals, so only 200 is judged.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        super().__init__(COMPUTE, inner, base=BASE, statuses=frozenset({200}))

    def _is_outside(self, path: str) -> bool:
        both = "/providers/Microsoft.Compute/", "/providers/Microsoft.Network/"
        return "/operations/" in path or not any(part in path for part in both)

    def _of(self, path: str) -> OpenAPI:
        return openapi(NETWORK) if "/Microsoft.Network/" in path else _compute()
