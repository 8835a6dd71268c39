"""One replica: a voice server as `serve` makes it, whose sockets Ray Serve brings.

Loaded only where Ray is installed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from ray import serve as ray_serve

from personaplex_server import chat, logs, options, web
from personaplex_server import serve as command
from personaplex_server.doorman import Rules
from personaplex_server.status import State

if TYPE_CHECKING:
    import argparse

    from starlette.applications import Starlette

TOKEN_CHARACTERS: Final = 8
"""Characters of a replica's name that its tokens of resuming begin with; the router finds it by them."""
_LOOK_S: Final = 0.05


def mark(replica: str) -> str:
    """Return what tokens of a replica begin with."""
    return replica[-TOKEN_CHARACTERS:]


class Voice:
    """A voice server in a replica; ready when its model is."""

    async def __init__(self, given: argparse.Namespace, token: str | None) -> None:  # type: ignore[misc]
        secrets = (token,) if token else ()
        logs.setup(verbose=given.verbose, as_json=given.log_format == "json", secrets=secrets)
        sys.setswitchinterval(command.SWITCH_INTERVAL_S)
        self._engines = command.engines_of(given, lambda: None)
        self._service = command.service_of(given, token, self._engines)
        self._rules = Rules(origins=frozenset(given.allow_origin))
        name = str(ray_serve.get_replica_context().replica_id.unique_id)
        reception = self._service.reception
        reception.conversations.mark = mark(name)
        # Ray's proxy tells of a broken connection as of one that was closed without a word.
        reception.polite = chat.POLITE - {1005}
        for scheduler in self._engines.values():
            scheduler.start()
        scheduler = self._engines[given.engine]
        while scheduler.status().state is State.LOADING:  # noqa: ASYNC110 - it loads in a thread of its own
            await asyncio.sleep(_LOOK_S)
        self.check_health()

    def __serve_build_asgi_app__(self) -> Starlette:
        """Return the same application as `serve` has."""
        return web.create_app(self._service, self._rules)

    def check_health(self) -> None:
        """Let Ray start a replica anew whose model has broken.

        Raises:
            RuntimeError: It has; the text says why.
        """
        status = self._engines[self._service.default].status()
        if status.state is State.FAILED:
            raise RuntimeError(status.reason)

    async def __del__(self) -> None:
        """Wait for callers whose connection broke and who may still come back, and end the model's thread."""
        conversations = self._service.reception.conversations
        end = time.monotonic() + conversations.keep_s
        while conversations.parked and time.monotonic() < end:  # noqa: ASYNC110 - timers of their own end it
            await asyncio.sleep(_LOOK_S)
        for scheduler in self._engines.values():
            scheduler.stop()
        for scheduler in self._engines.values():
            await asyncio.to_thread(scheduler.join)


def application(given: argparse.Namespace, token: str | None, *, on_gpu: bool) -> Any:
    """Return what Ray Serve runs."""
    rows = given.rows
    most = _MOST_ROWS if rows == options.AUTO else rows
    target = given.target or (_AUTO_TARGET if rows == options.AUTO else max(1.0, 0.75 * rows))
    scale: dict[str, Any] = {"num_replicas": given.replicas}
    if given.replicas == options.AUTO:
        scale = {
            "autoscaling_config": {
                "min_replicas": 1,
                "max_replicas": given.max_replicas,
                "target_ongoing_requests": target,
                "upscale_delay_s": 5.0,
                "downscale_delay_s": 300.0,
            }
        }
    made = ray_serve.deployment(
        name="Voice",
        # More than there are rows: who finds none free is told so, or waits in our line and hears of it.
        max_ongoing_requests=most + _BESIDE,
        ray_actor_options={"num_gpus": 1} if on_gpu else {"num_cpus": given.cpus},
        graceful_shutdown_timeout_s=given.drain,
        graceful_shutdown_wait_loop_s=1.0,
        health_check_period_s=5.0,
        request_router_config={
            "request_router_class": "personaplex_server.fleet.router:EmptiestFirst"
        },
        **scale,
    )(ray_serve.ingress()(Voice))
    return made.bind(given, token)


_MOST_ROWS: Final = 32
_AUTO_TARGET: Final = 4.0
_BESIDE: Final = 96
"""Callers in line (64 at most), and requests that ask how things are."""
