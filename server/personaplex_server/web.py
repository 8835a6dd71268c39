"""The ASGI application: the chat socket, and the routes that say how the server is. It holds no state of calls.

With a token set, everything but `/ping` and the page at `/` asks for it: in the Authorization header, as a
WebSocket sub-protocol (browsers can set no header), or as the query parameter `token` (for pages that can set neither).
A second token may open the adding of voices, and nothing but that.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

import personaplex_server
from personaplex_server import chat, gpu, metrics, openapi, page, protocol
from personaplex_server.chat import Reception
from personaplex_server.doorman import Doorman, Rules
from personaplex_server.engines.base import EngineError
from personaplex_server.status import State
from personaplex_server.voices import VoiceFolder, VoiceRefusedError
from personaplex_server.work import BUNDLED_VOICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection, Request
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from personaplex_server.scheduler import Scheduler

log = logging.getLogger(__name__)

PING_PATH: Final = "/ping"
STATUS_PATH: Final = "/api/status"
METRICS_PATH: Final = "/metrics"
OPENAPI_PATH: Final = "/openapi.json"
_SUBPROTOCOL_PREFIX: Final = "token."
_UNADMITTED: Final = (
    "This voice server asks for an access token, and none or a wrong one was sent. "
    "Use the token that the server was started with."
)


@dataclass(frozen=True, slots=True)
class Service:
    """What the application serves.

    Attributes:
        engines: Name to scheduler; `?engine=` chooses.
        default: Name of the engine that a caller gets who names none; its state is the server's.
        token: What every request must bring, None for open access.
        voices_token: What opens the adding of voices as well, and nothing else; None for no such.
        instance: Marks this process, so that a restart can be noticed.
        started: When the process began, monotonic.
        reception: What its calls share: limits, lines, conversations to go on with.
        voices: Where voices are put that callers bring, None where they may bring none.
        readiness_path: A further route that answers a load balancer, without a token; "" for none.
        chat_path: A further path of the chat socket; "" for none.
    """

    engines: Mapping[str, Scheduler]
    default: str
    token: str | None = None
    voices_token: str | None = None
    instance: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started: float = field(default_factory=time.monotonic)
    reception: Reception = field(default_factory=Reception)
    voices: VoiceFolder | None = None
    readiness_path: str = ""
    chat_path: str = ""

    def health(self) -> dict[str, Any]:
        """Return what `/health` answers."""
        scheduler = self.engines[self.default]
        status = scheduler.status()
        facts = status.facts
        return {
            "state": str(status.state),
            "progress": round(status.progress, 3),
            "stage": status.stage,
            "reason": status.reason,
            "cause": status.cause,
            "engine": self.default,
            "model": facts.get("model"),
            "rehearsal": bool(facts.get("rehearsal", False)),
            "device": facts.get("device"),
            "dtype": facts.get("dtype"),
            "slots": status.slots,
            "free": status.free,
            "queue": len(self.reception.line(scheduler)),
            "version": personaplex_server.__version__,
            "instance": self.instance,
            "uptime_s": round(time.monotonic() - self.started, 1),
        }

    def figures(self) -> dict[str, Any]:
        """Return what `/api/status` answers beyond `/health`."""
        engines = {}
        for name, scheduler in self.engines.items():
            status = scheduler.status()
            engines[name] = {
                "state": str(status.state),
                "slots": status.slots,
                "free": status.free,
                "queue": len(self.reception.line(scheduler)),
                "served": status.served,
                "dropped": status.dropped,
                "tick_p50_ms": _rounded(status.tick_p50_ms),
                "tick_p99_ms": _rounded(status.tick_p99_ms),
            }
        mine = engines[self.default]
        chosen = {key: mine[key] for key in ("served", "dropped", "tick_p50_ms", "tick_p99_ms")}
        facts = self.engines[self.default].status().facts
        return chosen | {
            "facts": facts,
            "engines": engines,
            "kept": self.reception.conversations.parked,
            "limits": dataclasses.asdict(self.reception.limits),
            "machine": gpu.readings(),
        }

    def metrics(self) -> str:
        """Return what `/metrics` answers."""
        told = metrics.Page()
        facts = {"version": personaplex_server.__version__, "instance": self.instance}
        told.add("info", "gauge", "The server that answers.", 1, engine=self.default, **facts)
        told.add("uptime_seconds", "gauge", "Since its start.", time.monotonic() - self.started)
        kept = self.reception.conversations.parked
        told.add("kept_rows", "gauge", "Rows kept for a caller whose connection broke.", kept)
        for name, scheduler in self.engines.items():
            status = scheduler.status()
            for state in State:
                is_it = float(status.state is state)
                told.add(
                    "state", "gauge", "1 for the state it is in.", is_it, engine=name, state=state
                )
            used = status.slots - status.free
            told.add("slots", "gauge", "Calls it can hold.", status.slots, engine=name)
            told.add("sessions", "gauge", "Calls it holds.", used, engine=name)
            waiting = len(self.reception.line(scheduler))
            told.add("queue", "gauge", "Callers in line.", waiting, engine=name)
            told.add("load_progress", "gauge", "Loaded, 0 to 1.", status.progress, engine=name)
            told.add("sessions_total", "counter", "Calls so far.", status.served, engine=name)
            told.add(
                "dropped_frames_total",
                "counter",
                "Frames passed over.",
                status.dropped,
                engine=name,
            )
            told.add_histogram("tick_seconds", "Time of a tick.", scheduler.tick_s, engine=name)
            told.add_histogram(
                "lag_seconds", "From a frame's arrival to its answer.", scheduler.lag_s, engine=name
            )
            for part, times in list(scheduler.stage_s.items()):
                told.add_histogram(
                    "stage_seconds", "Time of a tick's part.", times, engine=name, stage=part
                )
            for figure, value in scheduler.engine_figures.items():
                labels = {"engine": name, "figure": figure}
                told.add("engine_figure", "gauge", "What the engine tells.", value, **labels)
        metrics.add_machine(told, gpu.readings())
        return told.text()

    def admits(self, connection: HTTPConnection) -> bool:
        """Tell whether a request brings the token; each offer is compared in constant time."""
        if self.token is None:
            return True
        offers = [connection.query_params.get("token", ""), _bearer(connection)]
        for offered in connection.scope.get("subprotocols", ()):
            offers += [offered, offered.removeprefix(_SUBPROTOCOL_PREFIX)]
        return any(_same(offer, self.token) for offer in offers)

    def admits_voice(self, connection: HTTPConnection) -> bool:
        """Tell whether a request may add a voice; where nobody holds a token, nobody is refused for lack of one."""
        if self.voices_token is None:
            return self.admits(connection)
        if _same(_bearer(connection), self.voices_token):
            return True
        return self.token is not None and self.admits(connection)


def _bearer(connection: HTTPConnection) -> str:
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else ""


def _same(offer: str, wanted: str) -> bool:
    return hmac.compare_digest(offer.encode(), wanted.encode())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def create_app(service: Service, rules: Rules = Rules()) -> Starlette:  # noqa: B008 - frozen
    """Return the ASGI application of `service`; starting and stopping its engines is the caller's part."""

    def guarded(request: Request) -> Response | None:
        return None if service.admits(request) else _unadmitted()

    async def ping(_: Request) -> Response:
        return PlainTextResponse("pong")

    async def readiness(_: Request) -> Response:
        """Answer as load balancers want it: 200 takes callers, 204 is not there yet, 503 never will be."""
        state = service.engines[service.default].status().state
        if state is State.LOADING:
            return Response(status_code=204)
        return PlainTextResponse(state, 200 if state in {State.READY, State.BUSY} else 503)

    async def health(request: Request) -> Response:
        return guarded(request) or _fresh(service.health())

    async def status(request: Request) -> Response:
        return guarded(request) or _fresh(service.health() | service.figures())

    async def voices(request: Request) -> Response:
        if (refused := guarded(request)) is not None:
            return refused
        scheduler = service.engines[service.default]
        try:
            names = await scheduler.voices()
        except Exception as error:
            log.exception("voices cannot be listed")
            return JSONResponse({"error": f"The voices cannot be listed: {error}."}, 500)
        now = scheduler.status()
        return _fresh(
            {
                "voices": [{"name": name, "label": _label(name)} for name in names],
                "default": now.facts.get("voice"),
                "state": str(now.state),
            }
        )

    async def measures(request: Request) -> Response:
        if (refused := guarded(request)) is not None:
            return refused
        # A driver may take its time to answer.
        text = await asyncio.to_thread(service.metrics)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def home(_: Request) -> Response:
        return page.answer("index.html")

    async def described(_: Request) -> Response:
        return JSONResponse(openapi.description(guarded=service.token is not None))

    async def page_file(request: Request) -> Response:
        return page.answer(request.path_params["name"])

    async def add_voice(request: Request) -> Response:
        if not service.admits_voice(request):
            # What was not read of the body must not be taken for the next request.
            return _unadmitted({"Connection": "close"})
        try:
            name = await _add_voice(service, request)
        except VoiceRefusedError as error:
            return JSONResponse({"error": str(error)}, error.status, {"Connection": "close"})
        return JSONResponse({"name": name, "label": _label(name)}, 201)

    async def voices_or_one_more(request: Request) -> Response:
        # One route for both, so that a refused method is told of both.
        return await (add_voice if request.method == "POST" else voices)(request)

    async def talk(ws: WebSocket) -> None:
        await ws.accept(_subprotocol(ws))
        try:
            await _talk(service, ws)
        except WebSocketDisconnect:
            # The caller left in the middle of a farewell; there is nobody to tell.
            log.debug("caller left early")

    routes: list[BaseRoute] = [
        Route("/", home),
        Route("/page/{name}", page_file),
        Route(OPENAPI_PATH, described),
        Route(PING_PATH, ping),
        Route(protocol.HEALTH_PATH, health),
        Route(STATUS_PATH, status),
        Route(METRICS_PATH, measures),
        Route(protocol.VOICES_PATH, voices_or_one_more, methods=["GET", "POST"]),
        WebSocketRoute(protocol.CHAT_PATH, talk),
    ]
    if service.readiness_path:
        routes.insert(0, Route(service.readiness_path, readiness))
    if service.chat_path:
        routes.append(WebSocketRoute(service.chat_path, talk))
    middleware = [Middleware(Doorman, rules)] if rules != Rules() else []
    return Starlette(routes=routes, middleware=middleware)


async def _add_voice(service: Service, request: Request) -> str:
    if service.token is None and service.voices_token is None:
        raise VoiceRefusedError(
            "Voices are taken only by a server with a token. Start it with --token-file or "
            "--voices-token-file.",
            403,
        )
    if service.voices is None:
        raise VoiceRefusedError(
            "This server has no folder for further voices. Start it with --voices.", 403
        )
    scheduler = service.engines[service.default]
    if scheduler.status().state not in {State.READY, State.BUSY}:
        raise VoiceRefusedError("The voice model is not ready. Try again when it is.", 503)
    try:
        taken = [*BUNDLED_VOICES, *await scheduler.voices()]
        return await service.voices.add(
            request.query_params.get("name", ""), request.stream(), taken
        )
    except (EngineError, OSError) as error:
        raise VoiceRefusedError(f"The voices cannot be listed: {error}", 500) from error


async def _talk(service: Service, ws: WebSocket) -> None:
    if not service.admits(ws):
        log.warning("caller refused: no or wrong token")
        await chat.refuse(ws, _UNADMITTED, protocol.CLOSE_POLICY)
        return
    name = ws.query_params.get("engine", "").strip() or service.default
    scheduler = service.engines.get(name)
    if scheduler is None:
        known = " or ".join(sorted(service.engines))
        await chat.refuse(
            ws, f"This server has no engine of that name; it has {known}.", protocol.CLOSE_POLICY
        )
        return
    await chat.converse(ws, scheduler, service.reception)


def _subprotocol(ws: WebSocket) -> str | None:
    """Choose what browsers insist on having chosen, and rather a name than a token."""
    offered: list[str] = list(ws.scope.get("subprotocols", ()))
    named = [name for name in offered if not name.startswith(_SUBPROTOCOL_PREFIX)]
    return next(iter(named or offered), None)


def _label(name: str) -> str:
    return name.rpartition(".")[0] or name


def _unadmitted(also: Mapping[str, str] | None = None) -> Response:
    headers = {"WWW-Authenticate": "Bearer", **(also or {})}
    return JSONResponse({"error": _UNADMITTED}, 401, headers)


def _fresh(content: dict[str, Any]) -> Response:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})
