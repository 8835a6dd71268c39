"""The console with stand-in conversations: who answers, when one is heard, what is kept and what is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QFileDialog, QLineEdit

import samples
import talk_scenes
from personadesk.domain.errors import HostUnfit
from personadesk.domain.persona import Persona, Sampling
from personadesk.store.database import Database
from personadesk.store.settings import HEADPHONES, MICROPHONE, VOLUME, Settings
from personadesk.ui.dialogs import Question
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.habits import Habits
from personadesk.ui.talk.kept_calls import KeptCalls
from personadesk.ui.talk.page import TalkPage
from personadesk.ui.talk.personas import Personas
from personadesk.ui.widgets import Note
from personadesk.voice.devices import Device, Devices
from personadesk.voice.figures import Break, Link, Place, Talk
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personadesk.voice.voices import Voice, Voices

LINE = Partner("Front desk", "ws://127.0.0.1:8998/api/chat", cost="$0.75 /h")


class Desk:
    """A page on a real database and a real folder, with conversations that stay as they are."""

    def __init__(self, home: Path, moment: TalkSnapshot) -> None:
        self.database = Database(home / "data.db")
        self.sessions: list[Any] = []
        self.opened: list[dict[str, Any]] = []
        self.devices = samples.DEVICES
        self._moment = moment
        services = SimpleNamespace(database=self.database, folders=SimpleNamespace(data=home))

        async def ready() -> Any:
            return services

        self.personas = _Voiced(ready)
        self.kept = KeptCalls(ready)
        self.call = Call(
            self._open, self._list, lambda: self.personas.draft, lambda: self.kept.sessions()
        )
        self.call.show_partners((LINE,))
        self.page = TalkPage(
            self.call, self.personas, self.kept, talk_scenes.foreign_of(), talk_scenes.lab_of()
        )
        self.console = self.page.console

    @property
    def session(self) -> Any:
        return self.sessions[-1]

    def _open(self, _url: str, **choices: Any) -> Any:
        self.opened.append(choices)
        self.sessions.append(talk_scenes.SampleSession(self._moment))
        return self.sessions[-1]

    def _list(self, **_choices: object) -> Devices:
        return self.devices


class _Voiced(Personas):
    """Has a server that tells two voices."""

    def look_for_voices(self, url: str, *, again: bool = False) -> None:
        self.voices = Voices((Voice("NATF2.pt", "natural, female"), Voice("anna", "anna")), "")


@pytest.fixture
def with_desk(
    run: Callable[[Awaitable[Any]], Any],
    personadesk_home: Path,
    wait_for: Callable[..., Awaitable[None]],
) -> Callable[..., None]:
    def use(story: Callable[[Desk], Awaitable[None]], **changes: Any) -> None:
        async def live() -> None:
            personadesk_home.mkdir(exist_ok=True)
            desk = Desk(personadesk_home, talk_scenes.measured(samples.call(), **changes))
            await desk.database.open()
            desk.page.resize(1300, 900)
            desk.page.show()
            desk.page.activateWindow()
            desk.page.entered()
            await wait_for(lambda: desk.call.devices is not None and desk.page.isActiveWindow())
            try:
                await story(desk)
            finally:
                desk.page.left()
                await desk.call.close()
                desk.page.hide()
                for each in (desk.page, desk.call, desk.personas, desk.kept):
                    each.deleteLater()
                await desk.database.close()

        run(live())

    return use


def question(page: TalkPage) -> Question:
    """Return the question that is asked."""
    (found,) = [each for each in page.findChildren(Question) if each.isVisible()]
    return found


def test_talk_to_a_line_is_one_click_and_says_who_shall_answer(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        card = desk.console.partner_card
        card.personas.activated.emit(card.personas.findData("Museum receptionist"))
        card.voices.activated.emit(card.voices.findData("NATF2.pt"))
        clicker.click(desk.console.foot.talk)
        assert clicker.clicks == 1
        query = desk.opened[0]["query"]
        assert query["voice_prompt"] == "NATF2.pt"
        assert query["text_prompt"].startswith("You work for the Harbour Museum")
        await wait_for(lambda: desk.console.call_card.pill.word == "In a call")
        for part in (card.lines, card.personas, card.text, card.voices, card.sampling):
            assert not part.isEnabled(), "hang up to change"

    with_desk(story)


def test_a_persona_is_written_saved_and_found_again(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        card, model = desk.console.partner_card, desk.personas
        card.text.setFocus()
        card.text.selectAll()
        QTest.keyClicks(card.text, "You sell bread.")
        assert "changed" in card.personas.currentText()
        card.sampling.fold.set_open(True)
        field = card.sampling.field("seed")
        QTest.keyClicks(field, "42")
        clicker.click(card.save)
        asked = question(desk.page)
        name = asked.findChild(QLineEdit)
        name.selectAll()
        QTest.keyClicks(name, "Baker")
        clicker.press(asked, "Save")
        await wait_for(lambda: model.draft.name == "Baker" and not model.edited)
        assert model.draft == Persona("Baker", "You sell bread.", "", Sampling(seed=42))
        assert card.personas.currentText() == "Baker"
        card.personas.activated.emit(card.personas.findData("Friendly teacher"))
        assert field.text() == ""
        card.personas.activated.emit(card.personas.findData("Baker"))
        assert card.text.toPlainText() == "You sell bread."
        assert field.text() == "42"

    with_desk(story)


def test_a_temperature_that_cannot_be_is_marked_and_not_taken(
    with_desk: Callable[..., None],
) -> None:
    async def story(desk: Desk) -> None:
        sampling = desk.console.partner_card.sampling
        sampling.fold.set_open(True)
        field = sampling.field("text_temperature")
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, "55")
        assert field.property("fault") == "true"
        assert desk.personas.draft.sampling.text_temperature == 5.0, "the last one that could be"
        sampling.field("seed").setFocus()
        assert field.text() == "5"
        assert field.property("fault") == "false"

    with_desk(story)


def test_a_persona_travels_as_a_file(
    with_desk: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    file = tmp_path / "noor.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a: (str(file), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_a: (str(file), ""))

    async def story(desk: Desk) -> None:
        card = desk.console.partner_card
        card.personas.activated.emit(card.personas.findData("Good conversation"))
        save, brought = card.menu.actions()[1], card.menu.actions()[0]
        save.trigger()
        await wait_for(lambda: file.exists() and file.stat().st_size)
        file.write_text(file.read_text().replace("Good conversation", "Shared"))
        brought.trigger()
        await wait_for(lambda: desk.personas.draft.name == "Shared")
        assert desk.personas.removable

    with_desk(story)


def test_space_is_held_to_talk_and_presses_no_button(with_desk: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.console.audio_card.push.click()
        assert desk.call.mode is Talk.PUSH
        assert not desk.console.audio_card.half_duplex.isEnabled()
        QTest.mouseClick(desk.console.foot.talk, Qt.MouseButton.LeftButton)
        assert desk.opened[0]["mode"] is Talk.PUSH
        hang_up = desk.console.foot.hang_up
        hang_up.setFocus()
        QTest.keyPress(hang_up, Qt.Key.Key_Space)
        QTest.keyRelease(hang_up, Qt.Key.Key_Space)
        assert desk.session.deeds[1:] == [("hold", True), ("hold", False)]
        QTest.keyPress(hang_up, Qt.Key.Key_Space)
        desk.page.left()
        assert desk.session.deeds[-1] == ("hold", False), "a key is let go of when the page goes"

    with_desk(story)


def test_volume_half_duplex_and_devices_reach_a_call_that_goes_on(
    with_desk: Callable[..., None],
) -> None:
    async def story(desk: Desk) -> None:
        audio = desk.console.audio_card
        audio.volume.setValue(40)
        QTest.mouseClick(desk.console.foot.talk, Qt.MouseButton.LeftButton)
        assert desk.opened[0]["volume"] == 0.4
        audio.volume.setValue(70)
        audio.half_duplex.click()
        audio.source.activated.emit(1)
        assert desk.session.deeds[1:] == [
            ("volume", 0.7), ("mode", Talk.HALF_DUPLEX), ("devices", "Built-in microphone", None),
        ]  # fmt: skip

    with_desk(story)


def test_a_device_that_is_unplugged_is_told_and_taken_again_when_it_is_back(
    with_desk: Callable[..., None], wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        desk.console.audio_card.source.activated.emit(1)
        whole = desk.devices
        desk.devices = Devices((Device("USB headset, microphone", is_default=True),), whole.outputs)
        desk.console._look_for_plugged()
        await wait_for(lambda: desk.call.source is None)
        assert desk.call.lost_source == "Built-in microphone"
        assert "is gone" in desk.console.audio_card._reason.text()
        desk.devices = whole
        desk.console._look_for_plugged()
        await wait_for(lambda: desk.call.source == "Built-in microphone")

    with_desk(story)


def test_what_was_chosen_is_there_at_the_next_start(
    with_desk: Callable[..., None], tmp_path: Path, wait_for: Callable[..., Awaitable[None]]
) -> None:
    settings = Settings(tmp_path / "settings.toml")

    async def ready() -> Any:
        return SimpleNamespace(settings=settings)

    async def story(desk: Desk) -> None:
        habits = Habits(desk.call, ready)
        audio = desk.console.audio_card
        await wait_for(lambda: habits.known)
        audio.volume.setValue(35)
        audio.headphones.click()
        audio.source.activated.emit(1)
        await wait_for(lambda: settings.get(MICROPHONE) == "Built-in microphone")
        assert (settings.get(VOLUME), settings.get(HEADPHONES)) == (35, True)
        again = Call(desk._open, desk._list, parent=desk.page)
        again.devices = desk.devices
        Habits(again, ready)
        await wait_for(lambda: again.source == "Built-in microphone")
        assert (again.volume, again.headphones, again.push_to_talk) == (0.35, True, False)

    with_desk(story)


def test_recording_is_asked_once_a_call_and_shown_in_a_word(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        foot, shown = desk.console.foot, desk.console.call_card.recording
        clicker.click(foot.talk)
        clicker.click(foot.record)
        clicker.press(question(desk.page), "Cancel")
        assert not desk.call.agreed_to_record
        QTest.keyClick(
            desk.page,
            Qt.Key.Key_R,
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
        )
        clicker.press(question(desk.page), "Record")
        await wait_for(shown.isVisible)
        assert shown.word == "Recording"
        assert desk.session.deeds[1] == ("record", "Front desk", "Friendly teacher", "")
        clicker.press(desk.console, "Stop recording")
        await wait_for(lambda: not shown.isVisible())
        clicker.press(desk.console, "Record")
        await wait_for(shown.isVisible)
        assert not any(each.isVisible() for each in desk.page.findChildren(Question))

    with_desk(story)


def test_a_recording_is_small_where_that_is_ticked_and_stays_so_for_the_call(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        small = ("record", "Front desk", "Friendly teacher", "", "opus")
        clicker.click(desk.console.foot.talk)
        clicker.click(desk.console.foot.record)
        asked = question(desk.page)
        (box,) = asked.findChildren(QCheckBox)
        assert not box.isChecked()
        clicker.click(box)
        clicker.press(asked, "Record")
        await wait_for(desk.console.call_card.recording.isVisible)
        assert desk.session.deeds[-1] == small
        clicker.press(desk.console, "Stop recording")
        await wait_for(lambda: not desk.console.call_card.recording.isVisible())
        clicker.press(desk.console, "Record")
        await wait_for(desk.console.call_card.recording.isVisible)
        assert desk.session.deeds[-1] == small

    with_desk(story)


def test_a_broken_connection_is_told_with_its_gap(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        card = desk.console.call_card
        clicker.click(desk.console.foot.talk)
        await wait_for(lambda: card.pill.word == "Reconnecting")
        shown = desk.session.shown
        desk.session.shown = replace(shown, link=Link(breaks=(Break(15.0, 3.2, resumed=True),)))
        await wait_for(lambda: card.pill.word == "In a call")
        rows = desk.console.transcript_card.view.rows
        (gap,) = [row for row in rows if row.who == "Connection"]
        assert gap.text == "away for 3.2 s, then the call went on"
        assert [row.time for row in rows] == sorted(row.time for row in rows)

    with_desk(story, link=Link(True, 1, 20.0, True, (Break(15.0, 1.0, resumed=False),)))


def test_a_busy_server_tells_the_place_in_line_and_it_can_be_left(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        clicker.click(desk.console.foot.talk)
        desk.session.shown = TalkSnapshot(TalkState.PREPARING, place=Place(2, 3, 140.0))
        await wait_for(lambda: desk.console.call_card.pill.word == "In line")
        (note,) = [each for each in desk.console.call_card.findChildren(Note) if each.isVisible()]
        assert "You are number 2 in line." in note.text
        assert "another 2 minutes" in note.text
        clicker.press(desk.console, "Leave the queue")
        assert desk.session.deeds[-1] == "hang up"

    with_desk(story)


def test_lag_is_told_stage_by_stage_and_with_the_figures_of_the_call(
    with_desk: Callable[..., None], clicker: Any
) -> None:
    async def story(desk: Desk) -> None:
        clicker.click(desk.console.foot.talk)
        assert desk.console.lag_card.total.text() == "228"
        assert "GPU step: 41 ms" in desk.console.lag_card.stages.accessibleName()
        assert desk.console.lag_card.pill.word == "Good"
        names = [part.accessibleName() for part in desk.console.figures_card.findChildren(object)
                 if hasattr(part, "accessibleName")]  # fmt: skip
        assert "Answers after: 0.39 s" in names
        assert "Costs: $0.75 /h" in names

    with_desk(story)


def test_lag_and_figures_stand_at_the_right_or_below_and_wait_where_there_is_no_room(
    with_desk: Callable[..., None], clicker: Any
) -> None:
    async def story(desk: Desk) -> None:
        lag, waves = desk.console.lag_card, desk.console.call_card
        assert lag.isVisible()
        desk.page.resize(960, 700)
        assert not lag.isVisible(), "there is nothing to tell yet"
        clicker.click(desk.console.foot.talk)
        assert lag.isVisible()
        assert (
            lag.mapTo(desk.page, lag.rect().topLeft()).x()
            >= waves.mapTo(desk.page, waves.rect().topLeft()).x()
        )
        desk.page.resize(1300, 900)
        assert (
            lag.mapTo(desk.page, lag.rect().topLeft()).x()
            > waves.mapTo(desk.page, waves.rect().topRight()).x()
        )

    with_desk(story)


def test_a_report_is_saved_as_a_page_and_as_figures(
    with_desk: Callable[..., None],
    clicker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    page = tmp_path / "call.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a: (str(page), ""))

    async def story(desk: Desk) -> None:
        clicker.click(desk.console.foot.talk)
        clicker.press(desk.console, "Save report…")
        await wait_for(page.with_suffix(".json").exists)
        assert "this is Noor speaking" in page.read_text()
        assert '"total_ms": 228.0' in page.with_suffix(".json").read_text()

    with_desk(story)


def test_a_voice_is_heard_without_a_word_of_ones_own(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        clicker.click(desk.console.partner_card.hear)
        assert desk.opened[0]["source"] == "clip"
        await wait_for(lambda: "hang up" in desk.session.deeds)
        desk.session.shown = replace(desk.session.shown, state=TalkState.ENDED)
        await wait_for(lambda: not desk.call.is_on)

    with_desk(story)


def test_a_server_that_tells_no_voices_says_why(with_desk: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.personas.voices = None
        desk.personas.fault = HostUnfit("The server is asleep.")
        desk.personas.changed.emit()
        assert desk.console.partner_card._voices_word.text() == "The server is asleep."

    with_desk(story)
