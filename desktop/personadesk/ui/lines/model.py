"""What the Lines page shows, and what it asks of the services; the page draws it and knows no service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.wish import Rest
from personadesk.hosts import local
from personadesk.ui.i18n import show
from personadesk.ui.lines import words
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from personadesk.app import Services
    from personadesk.domain.access import Access
    from personadesk.domain.line import Line
    from personadesk.domain.plan import Plan
    from personadesk.domain.wish import Place, Wish
    from personadesk.lines.autostart import Autostart, Starter
    from personadesk.lines.outside import Told
    from personadesk.lines.spares import Standing
    from personadesk.store.wishes import Entry

__all__ = ["LineFacts", "LinesModel"]

LOOK_MS = 2000
SHOWN = 60


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One line.

    Attributes:
        line: As it stands.
        wish: What it shall be, None before its first deploy.
        place: Key of the place where it is now, "" for none.
        decisions: The guardian's, oldest first.
        outside: Its address for other computers, None where there is none.
        calls: Calls that go on.
        waiting: Callers who are held.
        spare: Its second voice that stands by, None where there is none.
    """

    line: Line
    wish: Wish | None = None
    place: str = ""
    decisions: tuple[Entry, ...] = ()
    outside: Told | None = None
    calls: int = 0
    waiting: int = 0
    spare: Standing | None = None


class LinesModel(QObject):
    """Follows the lines while somebody looks.

    Signals:
        changed: The lines, places or the background process are others.
        autostart_changed: Whether this computer starts the lines is known, or another.
        refused: Something that was asked did not work (the error); shown on the page.
        done: Something that was asked worked (what it was).
        quoted: What a spare costs by a wish (the ``Wish``, a sentence).
    """

    changed = Signal()
    autostart_changed = Signal()
    refused = Signal(object)
    done = Signal(str)
    quoted = Signal(object, str)

    def __init__(
        self,
        ready: Callable[[], Awaitable[Services]],
        begin: Callable[[Plan], Awaitable[None]],
        *,
        starter: Callable[[Services], Starter] | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Make an empty one.

        Args:
            ready: Returns the services once they are open.
            begin: Begins a deploy and shows it.
            starter: Makes what starts the lines with this computer; None takes the system's.
        """
        super().__init__(parent)
        self._ready = ready
        self._begin = begin
        self._starter = starter or _starter
        self.lines: tuple[LineFacts, ...] = ()
        self.places: tuple[Place, ...] = ()
        self.zone = "UTC"
        self.background: dict[str, Any] | None = None
        self.serving = True
        self.autostart: Autostart | None = None
        self._looking = False
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)

    def get(self, name: str) -> LineFacts | None:
        """Return a line, or None."""
        return next((each for each in self.lines if each.line.name == name), None)

    def watch(self, watching: bool) -> None:
        """Follow the lines, or stop following them."""
        if watching:
            self.look()
            self._timer.start()
            if self.autostart is None:
                self._ask_autostart("status")
        else:
            self._timer.stop()

    def look(self) -> None:
        """Look at the lines now; harmless while it is under way."""
        if not self._looking:
            self._looking = True
            spawn(self._look(), "look at the lines", owner=self)

    # -- what can be asked ------------------------------------------------------------------------------------

    def create(self, wish: Wish, port: int | None) -> None:
        """Make a line that sleeps."""
        self._do("create", lambda services: services.wanting.create(wish, port))

    def change(self, wish: Wish) -> None:
        """Say what a line shall be."""
        self._do("change", lambda services: services.wanting.change(wish))

    def ask_spare(self, wish: Wish) -> None:
        """Ask what a spare would cost by a wish."""

        async def asking() -> None:
            try:
                told = words.quote(await (await self._ready()).spare_quote(wish))
            except PersonaDeskError as error:
                told = show(error.what)
            self.quoted.emit(wish, told)

        spawn(asking(), "lines: what a spare costs", owner=self)

    def move(self, name: str, place: Place) -> None:
        """Put a line's voice at another place; its deploy shows how far it is."""
        self._do("move", lambda services: self._move(services, name, place))

    def wake(self, name: str) -> None:
        """Start a line's voice; where there is none, deploy it at its first place."""
        self._do("wake", lambda services: self._wake(services, name))

    def sleep(self, name: str) -> None:
        """Stop a line's voice until somebody calls."""
        self._do("sleep", lambda services: services.limits.sleep(name, Rest.ASLEEP))

    def set_port(self, name: str, port: int) -> None:
        """Give a line another port of its own."""
        self._do("port", lambda services: services.wanting.set_port(name, port))

    def open_outside(self, name: str, access: Access) -> None:
        """Let other computers reach a line."""
        self._do("open", lambda services: services.outside.open(name, access))

    def close_outside(self, name: str) -> None:
        """Let only this computer reach a line."""
        self._do("close", lambda services: services.outside.close(name))

    def renew_token(self, name: str) -> None:
        """Make a new token for other computers."""
        self._do("token", lambda services: services.outside.renew(name))

    def start_with_computer(self, wanted: bool) -> None:
        """Let this computer start the lines by itself, or not."""
        self._ask_autostart("install" if wanted else "uninstall")

    def end_background(self) -> None:
        """End the process that serves the lines; this window takes over."""
        self._do("end", lambda services: services.end_background())

    # -- how it is done ---------------------------------------------------------------------------------------

    def _do(self, what: str, work: Callable[[Services], Awaitable[Any]]) -> None:
        async def doing() -> None:
            await work(await self._ready())

        self._run(doing(), what)

    def _run(self, work: Coroutine[Any, Any, None], what: str) -> None:
        def done(_result: None) -> None:
            self.done.emit(what)
            self.look()

        def failed(error: Exception) -> None:
            self.refused.emit(error)
            self.look()

        spawn(work, f"lines: {what}", owner=self, done=done, failed=failed)

    async def _deploy(self, services: Services, name: str, place: Place | None) -> None:
        await self._begin(await services.wanting.plan(name, place))

    async def _move(self, services: Services, name: str, place: Place) -> None:
        facts = self.get(name)
        line = await services.lines.need(name)
        elsewhere = facts is not None and facts.place != place.key
        if elsewhere and await services.spares.move(line, place.key):
            return
        await self._deploy(services, name, place)

    async def _wake(self, services: Services, name: str) -> None:
        line = await services.lines.need(name)
        if line.target is None:
            await self._deploy(services, name, None)
        else:
            await services.lines.start(name)

    def _ask_autostart(self, what: str) -> None:
        async def asking() -> None:
            starter = self._starter(await self._ready())
            ways = {
                "install": starter.install, "uninstall": starter.uninstall,
                "status": starter.status,
            }  # fmt: skip
            try:
                self.autostart = await ways[what]()
            except PersonaDeskError:
                self.autostart = await starter.status()
                raise
            finally:
                self.autostart_changed.emit()

        self._run(asking(), what)

    async def _look(self) -> None:
        try:
            services = await self._ready()
            lines = tuple(
                [await self._facts(services, line) for line in await services.lines.all()]
            )
            background, serving = None, services.lines.serving
            if not serving:
                background = await services.background_state()
            if background is not None:
                lines = tuple(_with_calls(each, background) for each in lines)
            places = tuple(await services.wanting.places())
            self.zone = await asyncio.to_thread(local.time_zone)
            found = (lines, background, places, serving)
            if found != (self.lines, self.background, self.places, self.serving):
                self.lines, self.background, self.places, self.serving = found
                self.changed.emit()
        finally:
            self._looking = False

    async def _facts(self, services: Services, line: Line) -> LineFacts:
        wish = await services.guardian.wish(line)
        record = await services.journal.load(line.target.server_id) if line.target else None
        outside = None
        if line.name in await services.outside.known():
            try:
                outside = await services.outside.told(line.name)
            except PersonaDeskError as error:
                self.refused.emit(error)
        from personadesk.domain.wish import Place

        return LineFacts(
            line, wish,
            Place(record.plan.place, record.plan.rent).key if record is not None else "",
            tuple(await services.wishes.log(line.name, SHOWN)), outside,
            services.lines.calls_of(line.name), services.lines.waiting(line.name),
            await services.spares.standing(line),
        )  # fmt: skip


def _with_calls(facts: LineFacts, background: dict[str, Any]) -> LineFacts:
    from dataclasses import replace

    told = background.get("lines", {}).get(facts.line.name, {})
    return replace(facts, calls=told.get("calls", 0), waiting=told.get("waiting", 0))


def _starter(services: Services) -> Starter:
    from personadesk.lines.autostart import Starter

    return Starter(services.folders.state / "logs")
