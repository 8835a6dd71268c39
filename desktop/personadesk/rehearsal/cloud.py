"""All pretend providers in one process: their APIs, their machines, a clockwork, and a door for whoever directs it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from personadesk.rehearsal import catalog, machines, saved
from personadesk.rehearsal.control import Control
from personadesk.rehearsal.faults import Faults
from personadesk.rehearsal.machines import Machines
from personadesk.rehearsal.running import FILE
from personadesk.rehearsal.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from personadesk.rehearsal.http import Simulator
    from personadesk.rehearsal.world import World

log = logging.getLogger(__name__)


TICK_SECONDS = 0.1
SAVE_SECONDS = 5.0
"""How often balances are written down; what is made or changed is at once."""


class Cloud:
    """The pretend providers of one rehearsal.

    Attributes:
        folder: Everything of theirs; removed by `clear`.
        simulators: By provider id.
        faults: What goes wrong.
        speed: By how much faster machines come and go than the paces say.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        kinds: Sequence[type[Simulator]],
        *,
        speed: float = 1.0,
        seed: int | None = None,
    ) -> None:
        """Bring up the worlds as they were, without running anything yet.

        Args:
            folder: Where everything is.
            cache: Where machines keep what pip downloaded.
            kinds: The simulators' classes.
            speed: See above.
            seed: For chance that repeats itself.
        """
        self.folder = folder.absolute()
        self.faults = Faults(seed)
        self.speed = speed
        self.token = secrets.token_urlsafe(24)
        self.ended = threading.Event()
        self.simulators: dict[str, Simulator] = {}
        self._ports: dict[str, int] = {}
        self._served: list[Served] = []
        self._threads: list[threading.Thread] = []
        self._saving = threading.Lock()
        self._before = _known(self.folder)
        self.ssh_port = int(self._before.get("ssh_port") or machines.ssh_port())
        (self.folder / "worlds").mkdir(parents=True, exist_ok=True, mode=0o700)
        for kind in kinds:
            bodies = Machines(
                self.folder / "machines" / kind.id,
                {each.ref: each for each in kind.kinds},
                cache=cache,
                port=self.ssh_port,
            )
            held = saved.read(self._file(kind.id))
            made = catalog.make(kind, bodies=bodies, faults=self.faults, speed=speed, held=held)
            made.settles = False
            self.simulators[kind.id] = made
            bodies.sweep({bodies.disk(each) for each in made.world.machines(ended=True)})

    def start(self) -> None:
        """Bring machines back that ran, answer requests, let time pass, and tell where all that is."""
        for simulator in self.simulators.values():
            simulator.world.resume()
            thread = threading.Thread(
                target=self._tick, args=(simulator.world,), name=f"clockwork of {simulator.id}"
            )
            thread.start()
            self._threads.append(thread)
            self._ports[simulator.id] = self._serve(
                self._saving_after(simulator), f"{simulator.id}_port"
            )
        self._ports["control"] = self._serve(Control(self).answer, "control_port")
        content = {
            "pid": os.getpid(), "token": self.token, "ssh_port": self.ssh_port,
            "ssh_user": machines.user(), "speed": self.speed,
            **{f"{name}_port": port for name, port in self._ports.items()},
        }  # fmt: skip
        path = self.folder / FILE
        fresh = path.with_name(f"{FILE}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
        fresh.replace(path)

    def wait(self) -> None:
        """Wait until somebody ends it."""
        self.ended.wait()

    def suspend(self) -> None:
        """Stop answering and kill what runs; everything is as it was at the next start."""
        self._stop()
        for simulator in self.simulators.values():
            simulator.world.suspend()
            self._save(simulator.world)

    def clear(self) -> None:
        """Stop answering, end every machine and remove every file: the clouds are gone to the last byte."""
        self._stop()
        for simulator in self.simulators.values():
            simulator.world.clear()
        machines.remove(self.folder)

    def url(self, provider: str) -> str:
        """Return where a provider's API is, as an account's base URL."""
        ready = self.simulators[provider].ready
        return f"http://127.0.0.1:{self._ports[provider]}{ready.base_path}"

    # -- how it is done ---------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self.ended.set()
        for served in self._served:
            served.close()
        for thread in self._threads:
            thread.join()
        self._served, self._threads = [], []

    def _serve(self, answer: Callable[..., Any], name: str) -> int:
        """Listen on the port of the last time where that is free: accounts know it."""
        port = int(self._before.get(name) or 0)
        try:
            served = Served(answer, port)
        except OSError:
            served = Served(answer)
        self._served.append(served)
        return served.port

    def _saving_after(self, simulator: Simulator) -> Callable[..., Any]:
        def answer(method: str, *parts: Any) -> Any:
            try:
                return simulator.answer(method, *parts)
            finally:
                # Also when the answer is lost on purpose: what was done is done.
                if method not in {"GET", "HEAD"}:
                    self._save(simulator.world)

        return answer

    def _tick(self, world: World) -> None:
        written, count = 0.0, -1
        while not self.ended.wait(TICK_SECONDS):
            try:
                world.settle()
            except OSError:
                # Something that runs in a machine would not end; the next tick tries again.
                log.exception("a machine of %s could not be moved", world.provider)
            changed = len(world.held.ledger) != count
            if changed or time.monotonic() - written > SAVE_SECONDS:
                written, count = time.monotonic(), len(world.held.ledger)
                self._save(world)

    def _save(self, world: World) -> None:
        with self._saving, world.lock, contextlib.suppress(FileNotFoundError):
            # The folder is gone when all was cleared.
            saved.write(self._file(world.provider), world.held)

    def _file(self, provider: str) -> Path:
        return self.folder / "worlds" / f"{provider}.json"


def _known(folder: Path) -> Mapping[str, Any]:
    try:
        values = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
