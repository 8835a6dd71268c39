"""Azure's contracts as one judge: compute and network are two documents of one API."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from peers.contracts import Judge, openapi, ready, spec

if TYPE_CHECKING:
    import httpx
    from openapi_core import OpenAPI

COMPUTE = "azure-compute.openapi.json"
NETWORK = "azure-network.openapi.json"
BASE = "https://management.azure.com"


@functools.cache
def _compute() -> OpenAPI:
    values = spec(COMPUTE)
    # The contract says of its own list of sizes that it is out of date and not to be used; new ones are not in it.
    del values["components"]["schemas"]["VirtualMachineSizeTypes"]["enum"]
    return ready(values)


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
