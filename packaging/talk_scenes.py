"""The voice console in its states, made of sample data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt

import samples
from lab_scenes import comparison, lab_of, lab_scenes
from personadesk.domain.persona import BUILT_IN
from personadesk.domain.text import T
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.foreign import Foreign
from personadesk.ui.talk.foreign_dialog import ForeignDialog
from personadesk.ui.talk.kept_calls import KeptCalls
from personadesk.ui.talk.page import TalkPage
from personadesk.ui.talk.personas import Personas
from personadesk.voice import figures
from personadesk.voice.figures import Stage, StageLag
from personadesk.voice.sessions import Ending, Kept
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personadesk.voice.transcript_files import Caption
from personadesk.voice.voices import Voice, Voices

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.ui.shell import Page
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.compare import Comparison

__all__ = ["TALK_SCENES", "SampleSession", "console", "foreign_of", "measured", "personas_of"]

WAYS = (14.0, 47.0, 19.0, 4.0, 41.0, 21.0, 60.0, 22.0)


class SampleSession:
    """Stands for a conversation that stays as it is."""

    def __init__(self, snapshot: TalkSnapshot) -> None:
        self.shown = snapshot
        self.deeds: list[object] = []

    def start(self) -> None:
        """Remember it."""
        self.deeds.append("start")

    def hang_up(self) -> None:
        """Remember it."""
        self.deeds.append("hang up")

    def mute(self, muted: bool) -> None:
        """Remember it."""
        self.deeds.append(("mute", muted))

    def say_clip(self) -> None:
        """Remember it."""
        self.deeds.append("clip")

    def set_mode(self, mode: figures.Talk) -> None:
        """Remember it."""
        self.deeds.append(("mode", mode))

    def hold(self, held: bool) -> None:
        """Remember it."""
        self.deeds.append(("hold", held))

    def set_volume(self, volume: float) -> None:
        """Remember it."""
        self.deeds.append(("volume", volume))

    def change_devices(self, source: str | None, sink: str | None) -> None:
        """Remember it."""
        self.deeds.append(("devices", source, sink))

    def record(
        self,
        _sessions: object,
        line: str,
        *,
        opus: bool = False,
        persona: str = "",
        voice: str = "",
    ) -> None:
        """Remember it, and show it."""
        self.deeds.append(("record", line, persona, voice, *(["opus"] if opus else [])))
        self.shown = replace(self.shown, keeping=figures.Keeping(on=True))

    def stop_recording(self) -> None:
        """Remember it, and show it."""
        self.deeds.append("stop recording")
        self.shown = replace(self.shown, keeping=figures.Keeping())

    def join(self, timeout: float | None = None) -> bool:
        """It is over at once."""
        return timeout is None or timeout > 0

    def snapshot(self) -> TalkSnapshot:
        """Return how it is."""
        return self.shown


async def _never() -> Any:
    raise AssertionError("a picture asks for nothing")


class _Still(Personas):
    """What is known, and nobody is asked."""

    def load(self) -> None:
        """The saved ones stay as they are."""

    def look_for_voices(self, url: str, *, again: bool = False) -> None:
        """The voices stay as they are."""


def personas_of(name: str = "Museum receptionist", *, voices: bool = True) -> Personas:
    """Return personas with one chosen, and voices as a server tells them."""
    made = _Still(_never)
    made.draft = replace(
        next(each for each in BUILT_IN if each.name == name), voice="NATF2.pt" if voices else ""
    )
    if voices:
        made.voices = Voices(
            (
                Voice("NATF2.pt", "natural, female"), Voice("NATM1.pt", "natural, male"),
                Voice("VARF0.pt", "varied, female"), Voice("anna.wav", "anna"),
            ),
            "NATF2.pt",
        )  # fmt: skip
    return made


class _Shelf(KeptCalls):
    """What lies there, and no disk is read."""

    def look(self, text: str | None = None) -> None:
        """It stays as it is, but for the search."""
        self.changed.emit()

    def choose(self, kept: Kept | None) -> None:
        """Show one without its files."""
        if kept != self.chosen:
            self.chosen = kept
            self.shown.emit()


def foreign_of() -> Foreign:
    """Return the list of other people's servers, with none in it."""
    return Foreign(_never)


def kept_of(count: int = 0) -> KeptCalls:
    """Return a shelf with so many calls."""
    made = _Shelf(_never)
    words = (
        "Good afternoon, Harbour Museum, this is Noor speaking.",
        "Certainly, the tour begins at two.",
        "I am sorry, on Mondays we are closed.",
    )
    made.found = tuple(
        Kept(
            Path(f"call-{index}"), "Front desk", "ws://127.0.0.1:8998/api/chat",
            1_795_452_931.0 - 8000 * index, 161.0 - 37 * index,
            ending=Ending.CUT_OFF if index == 2 else Ending.WHOLE, words=words[index % 3],
            notes="Too slow at the start" if index == 1 else "", persona="Museum receptionist",
            voice="NATF2.pt", size=15_400_000 - 4_000_000 * index,
        )
        for index in range(count)
    )  # fmt: skip
    if made.found:
        made.chosen = made.found[0]
        made.captions = tuple(
            Caption(float(line.at), line.at + 2.9, line.who, str(line.text))
            for line in samples.call().transcript
        )
        made.levels = (
            samples.speech(0.4, 3.2, 12.0, seed=2),
            samples.speech(4.0, 10.5, 12.0, seed=5),
        )
    return made


def measured(snapshot: TalkSnapshot, **changes: Any) -> TalkSnapshot:
    """Return a moment of a call with all that is known of it."""
    lag = figures.Lag(
        tuple(StageLag(stage, ms) for stage, ms in zip(Stage, WAYS, strict=True)), sum(WAYS)
    )
    return replace(
        snapshot,
        lag=lag,
        turns=tuple(figures.Turn("voice", at, at + 4.0) for at in (3.1, 10.6, 20.3)),
        responses=figures.Responses(3, 410.0, 390.0, 620.0, 1, 0, 340.0),
        counts=figures.Frames(2012, 2010, 0, 2, jitter_ms=7.0, sent_late_p99_ms=2.0),
        buffer=figures.Depth(96.0, 90.0, 1),
        sound=figures.Sound(),
        **changes,
    )


def console(
    state: TalkState | None,
    *,
    rehearsal: bool = True,
    devices: bool = True,
    shown: Callable[[TalkSnapshot], TalkSnapshot] = measured,
    compared: Comparison | None = None,
) -> Page:
    """Return the page in a state of a call; None before the first."""
    moment = samples.call(state or TalkState.ENDED)
    moment = shown(moment) if state is TalkState.IN_CALL else moment
    call = Call(lambda *_a, **_k: SampleSession(moment), _no_list)
    call.devices = samples.DEVICES if devices else samples.NO_DEVICES
    call.show_partners(
        (
            Partner(
                "Front desk", "ws://127.0.0.1:8998/api/chat", rehearsal=rehearsal,
                cost="" if rehearsal else "$0.75 /h",
            ),
            Partner("Practice", "ws://127.0.0.1:9000/api/chat"),
        )
    )  # fmt: skip
    if state is not None:
        call.start()
        if state is not TalkState.IN_CALL:
            call.look()
    people = personas_of() if not rehearsal else personas_of("Friendly teacher", voices=False)
    page = TalkPage(call, people, kept_of(), foreign_of(), lab_of(compared))
    call.setParent(page)
    people.setParent(page)
    return page


def _no_list(**_choices: object) -> Any:
    return samples.DEVICES


def _nobody() -> Page:
    call = Call(lambda *_a, **_k: SampleSession(samples.call()), _no_list)
    call.devices = samples.NO_DEVICES
    people = personas_of(voices=False)
    page = TalkPage(call, people, kept_of(), foreign_of(), lab_of())
    call.setParent(page)
    people.setParent(page)
    return page


def _kept(count: int) -> Page:
    call = Call(lambda *_a, **_k: SampleSession(samples.call()), _no_list)
    call.devices = samples.DEVICES
    people, shelf = personas_of(), kept_of(count)
    page = TalkPage(call, people, shelf, foreign_of(), lab_of())
    for each in (call, people, shelf):
        each.setParent(page)
    page.show_view(1)
    return page


def _lagging(snapshot: TalkSnapshot) -> TalkSnapshot:
    whole = measured(snapshot, keeping=figures.Keeping(on=True, seconds=31.0))
    stages = tuple(
        replace(each, ms=91.0 if each.stage is Stage.TICK else each.ms) for each in whole.lag.stages
    )
    blame = T("The GPU needs {ms} ms for 80 ms of sound: it can't keep up.", ms=91)
    lag = figures.Lag(stages, 378.0, growing=True, blame=blame, culprit=Stage.TICK)
    return replace(
        whole, lag=lag, sound=replace(whole.sound, echo=True, advice=T("Put on headphones."))
    )


def _broken(snapshot: TalkSnapshot) -> TalkSnapshot:
    link = figures.Link(
        True, 2, 21.0, True,
        (figures.Break(14.0, 3.2, True), figures.Break(40.0, 1.1, False)),
    )  # fmt: skip
    return measured(replace(snapshot, lag_ms=None), link=link)


def _around(lab: Lab) -> TalkPage:
    call = Call(lambda *_a, **_k: SampleSession(samples.call()), _no_list)
    call.devices = samples.DEVICES
    call.show_partners(
        (
            Partner("Front desk", "ws://127.0.0.1:8998/api/chat", cost="$0.75 /h"),
            Partner("Practice", "ws://127.0.0.1:9000/api/chat"),
        )
    )
    people = personas_of()
    page = TalkPage(call, people, kept_of(), foreign_of(), lab)
    for each in (call, people, lab):
        each.setParent(page)
    return page


def _server() -> Page:
    page = console(None, rehearsal=False)
    dialog = ForeignDialog(page, foreign_of())
    # In earnest it is a window of its own; here it stands below, where it must not be squeezed.
    dialog.setFixedHeight(dialog.sizeHint().height())
    dialog.setWindowFlags(Qt.WindowType.Widget)
    below = page.layout()
    if below is None:
        raise ValueError("the page has no layout")
    below.addWidget(dialog)
    return page


def _queued(snapshot: TalkSnapshot) -> TalkSnapshot:
    return TalkSnapshot(TalkState.PREPARING, place=figures.Place(2, 3, 140.0))


TALK_SCENES: dict[str, Callable[[], Page]] = {
    "talk-nobody": _nobody,
    "talk-idle": lambda: console(None),
    "talk-idle-clip": lambda: console(None, devices=False),
    "talk-idle-persona": lambda: console(None, rehearsal=False),
    "talk-server": _server,
    "talk-call": lambda: console(TalkState.IN_CALL, rehearsal=False, compared=comparison()),
    "talk-call-lagging": lambda: console(TalkState.IN_CALL, rehearsal=False, shown=_lagging),
    "talk-call-broken": lambda: console(TalkState.IN_CALL, rehearsal=False, shown=_broken),
    "talk-queue": lambda: console(TalkState.IN_CALL, rehearsal=False, shown=_queued),
    "talk-kept": lambda: _kept(3),
    "talk-kept-none": lambda: _kept(0),
    "talk-failed": lambda: console(TalkState.FAILED),
    **lab_scenes(_around),
}
