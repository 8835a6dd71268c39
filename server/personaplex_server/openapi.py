"""What the HTTP routes take and answer, as OpenAPI: for programs, and for tests that try whatever it allows."""

from __future__ import annotations

from typing import Any, Final

import personaplex_server
from personaplex_server import metrics

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_WHOLE: Final = {"type": "integer", "minimum": 0}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MAYBE_NUMBER: Final = {"type": ["number", "null"]}
_PLAIN: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_STATE: Final = {"enum": ["loading", "ready", "busy", "failed", "stopped"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _answer(words: str, schema: dict[str, Any] | None = None, kind: str = "") -> dict[str, Any]:
    if schema is None and not kind:
        return {"description": words}
    media = {"schema": schema} if schema else {}
    return {"description": words, "content": {kind or "application/json": media}}


def _refusal(words: str) -> dict[str, Any]:
    return _answer(words, {"$ref": "#/components/schemas/Error"})


def _get(words: str, *answers: tuple[int, dict[str, Any]], open_to_all: bool = False) -> Any:
    told = {str(code): answer for code, answer in answers}
    operation: dict[str, Any] = {"summary": words, "responses": told}
    if open_to_all:
        operation["security"] = []
    else:
        told["401"] = _refusal("The token is missing or wrong.")
    return operation


_HEALTH: Final = _object(
    state=_STATE,
    progress={"type": "number", "minimum": 0, "maximum": 1},
    stage=_TEXT,
    reason=_MAYBE_TEXT,
    cause=_MAYBE_TEXT,
    engine=_TEXT,
    model=_MAYBE_TEXT,
    rehearsal={"type": "boolean"},
    device=_MAYBE_TEXT,
    dtype=_MAYBE_TEXT,
    slots=_WHOLE,
    free=_WHOLE,
    queue=_WHOLE,
    version=_TEXT,
    instance=_TEXT,
    uptime_s=_NUMBER,
)
_STATUS: Final = _object(
    served=_WHOLE,
    dropped=_WHOLE,
    tick_p50_ms=_MAYBE_NUMBER,
    tick_p99_ms=_MAYBE_NUMBER,
    facts={"type": "object"},
    engines={"type": "object"},
    kept=_WHOLE,
    limits={"type": "object"},
    machine={"type": "object"},
)
_VOICE: Final = _object(name=_TEXT, label=_TEXT)
_VOICES: Final = _object(
    voices={"type": "array", "items": _VOICE}, default=_MAYBE_TEXT, state=_STATE
)


def description(*, guarded: bool) -> dict[str, Any]:
    """Return the description; the chat socket is not HTTP and so not in it.

    Args:
        guarded: Requests must bring a token.
    """
    add_voice = {
        "summary": "Add a voice: the body is a wav file.",
        "description": (
            "Needs the server's token, or the one that it wrote into its --voices-token-file, which opens "
            "this route and no other and goes into the Authorization header."
        ),
        "parameters": [
            {
                "name": "name",
                "in": "query",
                "required": True,
                "schema": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9]([A-Za-z0-9 _-]{0,62}[A-Za-z0-9_-])?$",
                },
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        },
        "responses": {
            "201": _answer("Added.", {"$ref": "#/components/schemas/Voice"}),
            "401": _refusal("The token is missing or wrong."),
            "403": _refusal("This server takes no voices: it has no token or no folder for them."),
            "409": _refusal("The name is taken."),
            "413": _refusal("The file is too large."),
            "422": _refusal("The name or the sound cannot be used."),
            "500": _refusal("The voices cannot be listed."),
            "503": _refusal("The model is still loading."),
            "507": _refusal("There are too many voices."),
        },
    }
    everything = {"allOf": [{"$ref": "#/components/schemas/Health"}, _STATUS]}
    health = {"$ref": "#/components/schemas/Health"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "PersonaPlex voice server", "version": personaplex_server.__version__},
        "paths": {
            "/": {
                "get": _get(
                    "A page for a call.", (200, _answer("The page.", kind=_HTML)), open_to_all=True
                )
            },
            "/openapi.json": {
                "get": _get(
                    "This description.",
                    (200, _answer("OpenAPI.", {"type": "object"})),
                    open_to_all=True,
                )
            },
            "/ping": {
                "get": _get(
                    "Whether the server answers.",
                    (200, _answer("pong", kind=_PLAIN)),
                    open_to_all=True,
                )
            },
            "/health": {"get": _get("How the server is.", (200, _answer("Its state.", health)))},
            "/api/status": {
                "get": _get(
                    "The same, and figures.", (200, _answer("State and figures.", everything))
                )
            },
            "/api/voices": {
                "get": _get(
                    "The voices.",
                    (200, _answer("Their names.", _VOICES)),
                    (500, _refusal("They cannot be listed.")),
                ),
                "post": add_voice,
            },
            "/metrics": {
                "get": _get(
                    "Figures for Prometheus.", (200, _answer("Figures.", kind=metrics.CONTENT_TYPE))
                )
            },
        },
        "components": {
            "schemas": {"Health": _HEALTH, "Voice": _VOICE, "Error": _object(error=_TEXT)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
        "security": [{"bearer": []}, {"query": []}] if guarded else [],
    }
