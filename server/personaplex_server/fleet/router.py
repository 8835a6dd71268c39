"""Which replica a caller comes to: the one they were at, else the one with the fewest callers."""

from __future__ import annotations

import pickle
from typing import Any
from urllib.parse import parse_qs

from ray.serve.request_router import RequestRouter

from .replica import mark


def wanted(arguments: Any) -> str:
    """Return the token of resuming in a request as Ray's proxy hands it on; "" where there is none."""
    if not arguments or not isinstance(arguments[0], bytes):
        return ""
    # Written by the proxy of this very process a moment ago.
    scope = getattr(pickle.loads(arguments[0]), "_asgi_scope", {})  # noqa: S301
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return str(query.get("resume", [""])[0])


class EmptiestFirst(RequestRouter):  # type: ignore[misc]
    """Looks at all replicas, where Ray's own looks at two: a caller is not to wait while a seat is free elsewhere."""

    async def choose_replicas(
        self, candidate_replicas: list[Any], pending_request: Any = None
    ) -> list[list[Any]]:
        """Return the replica that a token names, then all; within a rank Ray takes the emptiest."""
        token = wanted(pending_request.args if pending_request is not None else ())
        own = [
            each for each in candidate_replicas if token.startswith(mark(each.replica_id.unique_id))
        ]
        return [own, candidate_replicas] if own else [candidate_replicas]
