"""The small page at `/`, for a call from a browser: plain files, served as they lie here."""

from __future__ import annotations

from importlib import resources
from typing import Final

from starlette.responses import Response

_KINDS: Final = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "ogg.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "worklets.js": "text/javascript; charset=utf-8",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src data:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answer(name: str) -> Response:
    """Return one of the page's files; none but those is ever read. They hold no secret and need no token."""
    kind = _KINDS.get(name)
    if kind is None:
        return Response("Not Found", 404)
    content = resources.files(__name__).joinpath(name).read_bytes()
    return Response(content, media_type=kind, headers=_HEADERS)
