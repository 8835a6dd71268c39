"""The call of the window: whom to talk to, through which devices, and the one session at a time. Outlives the page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.ui.spawn import spawn
from personadesk.voice.figures import Talk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.persona import Persona
    from personadesk.voice.devices import Devices
    from personadesk.voice.sessions import Sessions
    from personadesk.voice.talk_view import TalkSnapshot

    TokenOf = Callable[[str], Awaitable[str | None]]

__all__ = ["Call", "Partner", "Session"]

CLIP = "clip"
"""The built-in clip in place of a microphone, as in `voice.talk`."""
NO_SPEAKER = "none"
HEARING_SECONDS = 14.0
"""The built-in question takes five seconds; so much is left for the answer."""
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

    def set_mode(self, mode: Talk) -> None:
        """Choose when the microphone is sent."""

    def hold(self, held: bool) -> None:
        """Hold the push-to-talk key, or let go of it."""

    def set_volume(self, volume: float) -> None:
        """Make the voice louder or softer, 0..1."""

    def change_devices(self, source: str | None, sink: str | None) -> None:
        """Take another microphone or loudspeaker in the middle of the call."""

    def record(
        self,
        sessions: Sessions,
        line: str,
        *,
        opus: bool = False,
        persona: str = "",
        voice: str = "",
    ) -> None:
        """Keep the call from now on."""

    def stop_recording(self) -> None:
        """Keep no more of it."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is over."""

    def snapshot(self) -> TalkSnapshot:
        """Return how it is now."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A line that can be talked to.

    Attributes:
        name: The line.
        url: Its address.
        rehearsal: Whether its model is untrained, so that Echo is the better company.
        server: Address of the server behind it, which tells its voices; "" while there is none.
        cost: What its machine costs an hour, in words; "" where it is free.
        foreign: Whether it is a server of somebody else, which may ask for a token.
    """

    name: str
    url: str
    rehearsal: bool = False
    server: str = ""
    cost: str = ""
    foreign: bool = False


class Call(QObject):
    """Choices for the next call, and the call that goes on.

    Attributes:
        devices: Microphones and loudspeakers, None while they were not looked for.
        source: Name of the microphone chosen, `clip` for the built-in clip, None for the usual one.
        sink: Name of the loudspeaker chosen, `none` for silence, None for the usual one.
        headphones: Whether the user wears some, so that the voice cannot hear itself.
        half_duplex: Whether the user is muted while the voice speaks.
        push_to_talk: Whether the user is heard only while a key is held.
        volume: Of the loudspeaker, 0..1.
        agreed_to_record: Whether the user has agreed to a recording of this call.
        lost_source: Name of the chosen microphone that was unplugged, "" for none.
        lost_sink: The same of the loudspeaker.

    Signals:
        changed: Lines, devices or choices are others, or a call began or ended.
    """

    changed = Signal()

    def __init__(
        self,
        open_session: Callable[..., Session] | None = None,
        list_devices: Callable[..., Devices] | None = None,
        persona: Callable[[], Persona] | None = None,
        sessions: Callable[[], Awaitable[Sessions]] | None = None,
        parent: QObject | None = None,
        *,
        token: TokenOf | None = None,
    ) -> None:
        """Know nobody yet.

        Args:
            open_session: Makes a session: `(url, query=…, token=…, source=…, sink=…, mode=…, volume=…)`; None makes
                real ones.
            list_devices: Lists what there is: `(look_again=…)`; may take a moment. None asks the system.
            persona: Gives who shall answer; None leaves that to the server.
            sessions: Gives the folder of kept calls; None keeps none.
            token: Gives what the server of somebody else asks for, by its address; None knows of none.
        """
        super().__init__(parent)
        self._persona = persona
        self._sessions = sessions
        self._token = token
        self._beginning = False
        self._open_session = open_session or _session
        self._list_devices = list_devices or _devices
        self._partners: tuple[Partner, ...] = ()
        self._name = ""
        self._session: Session | None = None
        self._ended: Session | None = None
        self._last: TalkSnapshot | None = None
        self._muted = False
        self._to_model: set[str] = set()
        self.headphones = False
        self.half_duplex = False
        self.push_to_talk = False
        self.volume = 1.0
        self.lost_source = self.lost_sink = ""
        self.devices: Devices | None = None
        self.source: str | None = None
        self.sink: str | None = None
        self._hearing = False
        self.agreed_to_record = False
        self._opus = False
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
        self.source, self.lost_source = source, ""
        self._change_devices()

    def choose_sink(self, sink: str | None) -> None:
        """Choose a loudspeaker by name, None for the default one, `none` for silence."""
        self.sink, self.lost_sink = sink, ""
        self._change_devices()

    def _change_devices(self) -> None:
        if self._session is not None:
            self._session.change_devices(self.source, self.sink)
        self.changed.emit()

    @property
    def mode(self) -> Talk:
        """When the microphone is sent."""
        if self.push_to_talk:
            return Talk.PUSH
        return Talk.HALF_DUPLEX if self.half_duplex else Talk.OPEN

    def wear_headphones(self, worn: bool) -> None:
        """Note whether the user wears headphones."""
        self.headphones = worn
        self.changed.emit()

    def set_half_duplex(self, wanted: bool) -> None:
        """Mute the user while the voice speaks, or no longer."""
        self.half_duplex = wanted
        self._set_mode()

    def set_push_to_talk(self, wanted: bool) -> None:
        """Hear the user only while a key is held, or always."""
        self.push_to_talk = wanted
        self._set_mode()

    def hold(self, held: bool) -> None:
        """Hear the user while the key is held."""
        if self._session is not None:
            self._session.hold(held)

    def set_volume(self, volume: float) -> None:
        """Make the voice louder or softer, 0..1."""
        if volume == self.volume:
            return
        self.volume = volume
        if self._session is not None:
            self._session.set_volume(volume)
        self.changed.emit()

    def recall(self) -> None:
        """Take choices of an earlier time that were put into the attributes."""
        if self.devices is not None:
            self._notice_lost(self.devices)
        self._set_mode()

    def _set_mode(self) -> None:
        if self._session is not None:
            self._session.set_mode(self.mode)
        self.changed.emit()

    def look_for_devices(self, *, again: bool = False) -> None:
        """List microphones and loudspeakers in the background."""
        spawn(self.find_devices(again=again), "list sound devices", owner=self)

    async def find_devices(self, *, again: bool = False) -> None:
        """List microphones and loudspeakers; the system may take a moment to answer."""
        found = await asyncio.to_thread(self._list_devices, look_again=again)
        if found != self.devices:
            self.devices = found
            self._notice_lost(found)
            self.changed.emit()

    def _notice_lost(self, found: Devices) -> None:
        """Take the usual device where the chosen one was unplugged, and the chosen one again when it is back."""
        inputs = {device.name for device in found.inputs}
        outputs = {device.name for device in found.outputs}
        if self.lost_source in inputs:
            self.source, self.lost_source = self.lost_source, ""
        if self.lost_sink in outputs:
            self.sink, self.lost_sink = self.lost_sink, ""
        if self.source not in {None, CLIP, *inputs}:
            self.lost_source, self.source = str(self.source), None
        if self.sink not in {None, NO_SPEAKER, *outputs}:
            self.lost_sink, self.sink = str(self.sink), None

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
        source = self.source
        if source is None and self.devices is not None and not self.devices.inputs:
            source = CLIP
        self._begin(partner, source)

    def hear_voice(self) -> None:
        """Let the chosen voice answer the built-in question, and hang up by itself; harmless during a call."""
        partner = self.partner
        if partner is not None and not self.is_on:
            self._hearing = True
            self._begin(partner, CLIP)

    def _begin(self, partner: Partner, source: str | None) -> None:
        if not partner.foreign or self._token is None:
            self._open(partner, source, None)
        elif not self._beginning:
            self._beginning = True
            work = self._with_token(partner, source, self._token)
            spawn(work, "read a server's token", owner=self)

    async def _with_token(self, partner: Partner, source: str | None, token: TokenOf) -> None:
        try:
            found = await token(partner.url)
        finally:
            self._beginning = False
        if not self.is_on and self.partner == partner:
            self._open(partner, source, found)

    def _open(self, partner: Partner, source: str | None, token: str | None) -> None:
        query: dict[str, Any] = {}
        if self.uses_echo:
            query["engine"] = "echo"
        elif self._persona is not None:
            query |= self._persona().query()
        self._muted = self.agreed_to_record = False
        self._session = self._open_session(
            partner.url,
            query=query,
            token=token,
            source=source,
            sink=self.sink,
            mode=self.mode,
            volume=self.volume,
        )
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

    def keep(self, on: bool, *, opus: bool | None = None) -> None:
        """Record the call, or no longer; who turned it on has agreed to it.

        Args:
            on: Whether it is recorded from now on.
            opus: Small Ogg Opus files in place of WAV; None keeps what was chosen last.
        """
        session, partner = self._session, self.partner
        if session is None or partner is None or self._sessions is None:
            return
        self.agreed_to_record = True
        self._opus = self._opus if opus is None else opus
        if on:
            spawn(self._record(session, partner, self._sessions), "record the call", owner=self)
        else:
            session.stop_recording()

    async def _record(
        self, session: Session, partner: Partner, sessions: Callable[[], Awaitable[Sessions]]
    ) -> None:
        persona = self._persona() if self._persona is not None and not self.uses_echo else None
        session.record(
            await sessions(),
            partner.name,
            opus=self._opus,
            persona=persona.name if persona is not None else "",
            voice=persona.voice if persona is not None else "",
        )

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
        if self._hearing and snapshot is not None and snapshot.seconds > HEARING_SECONDS:
            self._hearing = False
            self.hang_up()
        if snapshot is not None and snapshot.state in {TalkState.ENDED, TalkState.FAILED}:
            self._watch.stop()
            # It closes its devices by itself; only the program's end has to wait for that.
            self._ended, self._session = self._session, None
            self._hearing = False
            self.changed.emit()


def _session(url: str, **choices: Any) -> Session:
    from personadesk.voice.talk import TalkSession

    return TalkSession(url, **choices)


def _devices(**choices: Any) -> Devices:
    from personadesk.voice.devices import list_devices

    return list_devices(**choices)
