"""The voice console with stand-in conversations: whom, through what, in a call, and how it ends."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

import talk_scenes
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.page import TalkPage
from personadesk.ui.widgets import ErrorPanel
from personadesk.voice.figures import Talk
from personadesk.voice.meters import Meter
from personadesk.voice.talk_view import TalkState

REHEARSAL = Partner("Front desk", "ws://127.0.0.1:8998/api/chat", rehearsal=True)
TRAINED = Partner("Practice", "ws://127.0.0.1:9000/api/chat")


class Phone:
    """Hands out stand-in conversations and remembers how each was asked for."""

    def __init__(self, scenes: ModuleType, samples: ModuleType) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sessions: list[Any] = []
        self.looks: list[bool] = []
        self.devices = samples.DEVICES
        self._scenes, self._samples = scenes, samples

    def open(self, url: str, **choices: Any) -> Any:
        assert choices.pop("mode") is Talk.OPEN
        assert choices.pop("volume") == 1.0
        assert choices.pop("token") is None
        self.calls.append((url, choices))
        self.sessions.append(self._scenes.SampleSession(self._samples.call()))
        return self.sessions[-1]

    def list(self, *, look_again: bool = False) -> Any:
        self.looks.append(look_again)
        return self.devices


@pytest.fixture
def phone(scenes: ModuleType, samples: ModuleType) -> Phone:
    return Phone(scenes, samples)


@pytest.fixture
def with_page(
    run: Callable[[Awaitable[Any]], Any], phone: Phone, wait_for: Callable[..., Awaitable[None]]
) -> Callable[..., None]:
    def use(story: Callable[[TalkPage, Call], Awaitable[None]]) -> None:
        async def live() -> None:
            call = Call(phone.open, phone.list)
            call.show_partners((REHEARSAL, TRAINED))
            page = TalkPage(
                call, talk_scenes.personas_of(), talk_scenes.kept_of(),
                talk_scenes.foreign_of(), talk_scenes.lab_of(),
            )  # fmt: skip
            page.resize(1200, 800)
            page.show()
            page.activateWindow()
            page.entered()
            await wait_for(lambda: call.devices is not None and page.isActiveWindow())
            try:
                await story(page, call)
            finally:
                page.left()
                await call.close()
                page.hide()
                page.deleteLater()
                call.deleteLater()

        run(live())

    return use


def test_a_rehearsal_line_is_talked_to_through_its_echo_unless_the_model_is_wanted(
    with_page: Callable[..., None], phone: Phone, clicker: Any
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        clicker.click(page.console.foot.talk)
        assert phone.calls[0] == (
            REHEARSAL.url, {"query": {"engine": "echo"}, "source": None, "sink": None},
        )  # fmt: skip
        await call.close()
        page.console.partner_card.to_model.click()
        clicker.click(page.console.foot.talk)
        assert phone.calls[1][1]["query"] == {}

    with_page(story)


def test_a_trained_line_answers_itself(with_page: Callable[..., None], phone: Phone) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        page.console.partner_card.lines.setCurrentText("Practice")
        page.console.partner_card.lines.activated.emit(1)
        assert not page.console.partner_card.to_model.isVisible()
        call.start()
        assert phone.calls == [(TRAINED.url, {"query": {}, "source": None, "sink": None})]

    with_page(story)


def test_sound_that_comes_in_unevenly_is_drawn_without_holes(
    with_page: Callable[..., None], samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of 80 ms arrive up to 90 ms late and fill bars that were new some time before."""
    meter, drawn = Meter(), []
    late = itertools.cycle([0.0, 0.09, 0.03, 0.06])
    frames = [(0.08 * n + next(late), np.full(1920, 0.5, np.float32)) for n in range(4, 60)]

    async def story(page: TalkPage, call: Call) -> None:
        monkeypatch.setattr(
            page.console.call_card.waves, "push", lambda you, voice: drawn.extend(voice)
        )
        for tick in range(1, 100):
            now = 0.05 * tick
            while frames and frames[0][0] <= now:
                meter.add(*frames.pop(0))
            wave = meter.wave(now)
            page.console.call_card._push_waves(
                replace(samples.call(), seconds=now, you_wave=wave, voice_wave=wave)
            )

    with_page(story)
    assert len(drawn) > 100
    assert min(drawn[12:-8]) == 0.5


def test_a_call_shows_time_waves_words_and_levels_and_locks_the_choices(
    with_page: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        clicker.click(page.console.foot.talk)
        await wait_for(lambda: page.console.call_card.pill.word == "In a call")
        await wait_for(lambda: page.console.audio_card.microphone.level > -30)
        assert [row.who for row in page.console.transcript_card.view.rows] == [
            "Voice",
            "You",
            "Voice",
            "You",
            "Voice",
        ]
        assert page.console.transcript_card.view.rows[1].text == "spoke for 2.9 s"
        assert not page.console.partner_card.lines.isEnabled()
        assert page.console.audio_card.source.isEnabled(), (
            "another microphone can be taken at any time"
        )
        assert not page.console.foot.talk.isVisible()
        page.console.transcript_card.view.copy_all()
        assert QGuiApplication.clipboard().text().startswith("0:03\tVoice\tGood afternoon")

    with_page(story)


def test_mute_and_hang_up_have_buttons_and_keys(
    with_page: Callable[..., None],
    phone: Phone,
    samples: ModuleType,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        clicker.click(page.console.foot.talk)
        await wait_for(lambda: page.console.call_card.pill.word == "In a call")
        (session,) = phone.sessions
        QTest.keyClick(page, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
        clicker.press(page, "Unmute")
        clicker.press(page, "Built-in clip")
        QTest.keyClick(page, Qt.Key.Key_Escape)
        assert "hang up" not in session.deeds, "Esc never hangs up"
        QTest.keyClick(page, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
        assert session.deeds == ["start", ("mute", True), ("mute", False), "clip", "hang up"]
        session.shown = replace(samples.call(), state=TalkState.ENDED)
        await wait_for(lambda: not call.is_on)
        assert page.console.call_card.pill.word == "Call ended"
        assert page.console.foot.talk.isVisible()
        assert page.console.transcript_card.view.rows, "what was said stays to be read"

    with_page(story)


def test_a_failed_call_says_why_and_can_be_made_again(
    with_page: Callable[..., None],
    phone: Phone,
    samples: ModuleType,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        clicker.click(page.console.foot.talk)
        phone.sessions[0].shown = samples.call(TalkState.FAILED)
        await wait_for(lambda: not call.is_on)
        await wait_for(lambda: any(p.isVisible() for p in page.findChildren(ErrorPanel)))
        panel = next(p for p in page.findChildren(ErrorPanel) if p.isVisible())
        assert "Nothing listens at 127.0.0.1:8998." in panel.accessibleName()
        clicker.press(panel, "Call again")
        assert len(phone.calls) == 2

    with_page(story)


def test_without_a_microphone_the_clip_is_offered_and_the_reason_told(
    with_page: Callable[..., None],
    phone: Phone,
    samples: ModuleType,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    phone.devices = samples.NO_DEVICES

    async def story(page: TalkPage, call: Call) -> None:
        assert page.console.foot.talk.text() == "Play the built-in clip"
        assert page.console.audio_card.source.currentText() == "Built-in clip"
        phone.devices = samples.DEVICES
        clicker.press(page, "Look again")
        await wait_for(lambda: page.console.foot.talk.text() == "Talk")
        assert phone.looks == [False, True]
        assert page.console.audio_card.source.itemText(0) == "USB headset, microphone"
        phone.devices = samples.NO_DEVICES
        clicker.press(page, "Look again")
        await wait_for(lambda: page.console.foot.talk.text() != "Talk")
        clicker.click(page.console.foot.talk)
        assert phone.calls[0][1]["source"] == "clip"

    with_page(story)


def test_chosen_devices_are_used_and_a_second_start_does_nothing(
    with_page: Callable[..., None], phone: Phone
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        page.console.audio_card.source.activated.emit(1)
        page.console.audio_card.sink.activated.emit(2)
        call.start("Practice")
        call.start()
        assert phone.calls == [
            (TRAINED.url, {"query": {}, "source": "Built-in microphone", "sink": "none"})
        ]
        page.console.partner_card.lines.activated.emit(0)
        assert call.partner == TRAINED, "hang up to change"

    with_page(story)


def test_nothing_is_read_while_the_page_is_hidden(
    with_page: Callable[..., None], phone: Phone, clicker: Any
) -> None:
    async def story(page: TalkPage, call: Call) -> None:
        clicker.click(page.console.foot.talk)
        page.left()
        assert not page.console._frame.isActive()
        page.entered()
        assert page.console._frame.isActive()

    with_page(story)


def test_with_no_line_the_page_says_where_to_make_one(
    qapp: Any, scenes: ModuleType, settle: Callable[..., None]
) -> None:
    page = scenes.SCENES["talk-nobody"]()
    page.show()
    settle()
    assert not page.console.foot.talk.isEnabled()
    page.deleteLater()
