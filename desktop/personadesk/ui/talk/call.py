"""The call of the window: whom to talk to, through which devices, and the one session at a time. Outlives the page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.voice.devices import Devices
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["Call", "Partner", "Session"]

CLIP = "clip"
"""The built-in clip in place of a microphone, as in `voice.talk`."""
NO_SPEAKER = "none"
WATCH_MS = 200
"""How often is looked whether a call has ended, while nobody watches it."""


class Session(Protocol):
    """What the window needs of a conversation."""

    def start(self) -> None:
        """Dial."""

    def hang_up(self) -> None:
        """End it."""

    def mute(self, muted: bool) -> None:
        """Send silence."""

    def say_clip(self) -> None:
        """Speak the built-in clip now."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is over."""

    def snapshot(self) -> TalkSnapshot:
        """Return how it is now."""


class Partner:
    """A line that can be talked to.

    Attributes:
        name: The line.
        url: Its address.
        rehearsal: Whether its model is untrained, so that Echo is the better company.
    """

    __slots__ = ("name", "rehearsal", "url")

    def __init__(self, name: str, url: str, *, rehearsal: bool = False) -> None:
        self.name = name
        self.url = url
        self.rehearsal = rehearsal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partner) and (self.name, self.url, self.rehearsal) == (
            other.name,
            other.url,
            other.rehearsal,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.url, self.rehearsal))


class Call(QObject):
    """Choices for the next call, and the call that goes on.

    Signals:
        changed: Lines, devices or choices are others, or a call began or ended.
    """

    changed = Signal()

    def __init__(
        self,
        open_session: Callable[..., Session],
        list_devices: Callable[..., Devices],
        parent: QObject | None = None,
    ) -> None:
        """Know nobody yet.

        Args:
            open_session: Makes a session: `(url, query=…, source=…, sink=…)`.
            list_devices: Lists what there is: `(look_again=…)`; may take a moment.
        """
        super().__init__(parent)
        self._open_session = open_session
        self._list_devices = list_devices
        self._partners: tuple[Partner, ...] = ()
        self._name = ""
        self._session: Session | None = None
        self._ended: Session | None = None
        self._last: TalkSnapshot | None = None
        self._muted = False
        self._to_model: set[str] = set()
        self.devices: Devices | None = None
        self.source: str | None = None
        self.sink: str | None = None
        self._watch = QTimer(self)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self.look)

    # -- choices ----------------------------------------------------------------------------------------------

    @property
    def partners(self) -> tuple[Partner, ...]:
        """Lines that can be talked to."""
        return self._partners

    @property
    def partner(self) -> Partner | None:
        """The line chosen."""
        return next((p for p in self._partners if p.name == self._name), None)

    @property
    def uses_echo(self) -> bool:
        """Whether the next call returns the caller's own voice in place of the model's."""
        partner = self.partner
        return partner is not None and partner.rehearsal and partner.name not in self._to_model

    def show_partners(self, partners: tuple[Partner, ...]) -> None:
        """Take the lines that can be talked to now."""
        if partners != self._partners:
            self._partners = partners
            if self.partner is None and partners and not self.is_on:
                self._name = partners[0].name
            self.changed.emit()

    def choose(self, name: str) -> None:
        """Choose a line."""
        if name != self._name and not self.is_on:
            self._name = name
            self._last = None
            self.changed.emit()

    def choose_model(self, to_model: bool) -> None:
        """Talk to a rehearsal line's own model, or to the echo."""
        (self._to_model.add if to_model else self._to_model.discard)(self._name)
        self.changed.emit()

    def choose_source(self, source: str | None) -> None:
        """Choose a microphone by name, None for the default one, `clip` for the built-in clip."""
        self.source = source
        self.changed.emit()

    def choose_sink(self, sink: str | None) -> None:
        """Choose a loudspeaker by name, None for the default one, `none` for silence."""
        self.sink = sink
        self.changed.emit()

    def look_for_devices(self, *, again: bool = False) -> None:
        """List microphones and loudspeakers in the background."""
        spawn(self.find_devices(again=again), "list sound devices", owner=self)

    async def find_devices(self, *, again: bool = False) -> None:
        """List microphones and loudspeakers; the system may take a moment to answer."""
        self.devices = await asyncio.to_thread(self._list_devices, look_again=again)
        self.changed.emit()

    # -- the call ---------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether a call goes on or is being made."""
        return self._session is not None

    @property
    def muted(self) -> bool:
        """Whether silence is sent."""
        return self._muted

    @property
    def has_speaker(self) -> bool:
        """Whether there is one, as far as is known."""
        return self.devices is not None and bool(self.devices.outputs)

    @property
    def has_microphone(self) -> bool:
        """Whether there is one, as far as is known."""
        return self.devices is None or bool(self.devices.inputs)

    def snapshot(self) -> TalkSnapshot | None:
        """Return how the call is, or was at its end; None before the first."""
        if self._session is not None:
            self._last = self._session.snapshot()
        return self._last

    def start(self, name: str | None = None) -> None:
        """Call the chosen line, or the one named; harmless while a call goes on."""
        if self.is_on:
            return
        if name is not None:
            self._name = name
        partner = self.partner
        if partner is None:
            return
        query: Mapping[str, Any] = {"engine": "echo"} if self.uses_echo else {}
        source = self.source
        if source is None and self.devices is not None and not self.devices.inputs:
            source = CLIP
        self._muted = False
        self._session = self._open_session(partner.url, query=query, source=source, sink=self.sink)
        self._session.start()
        self._watch.start()
        self.changed.emit()

    def hang_up(self) -> None:
        """End the call; it is over a moment later."""
        if self._session is not None:
            self._session.hang_up()

    def mute(self, muted: bool) -> None:
        """Send silence, or sound again."""
        if self._session is not None:
            self._muted = muted
            self._session.mute(muted)
            self.changed.emit()

    def say_clip(self) -> None:
        """Speak the built-in clip into the call."""
        if self._session is not None:
            self._session.say_clip()

    async def close(self) -> None:
        """End the call and wait until its devices are closed."""
        session, self._session = self._session or self._ended, None
        self._watch.stop()
        if session is not None:
            session.hang_up()
            await asyncio.to_thread(session.join, 5.0)
            self.changed.emit()

    def look(self) -> None:
        """Notice whether the call has ended; done by itself every now and then."""
        from personadesk.voice.talk_view import TalkState

        snapshot = self.snapshot()
        if snapshot is not None and snapshot.state in {TalkState.ENDED, TalkState.FAILED}:
            self._watch.stop()
            # It closes its devices by itself; only the program's end has to wait for that.
            self._ended, self._session = self._session, None
            self.changed.emit()
