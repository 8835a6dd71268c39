"""Test, Compare two and Load by real clicks: with sample figures, and against a real voice server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel

import lab_scenes
from peers.echo_server import echo_server
from personadesk.domain.callee import Callee
from personadesk.domain.load import Outcome
from personadesk.ui.deploy.player import Player
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.voice_lab.compare_view import CompareView
from personadesk.ui.voice_lab.lab import Lab
from personadesk.ui.voice_lab.load_view import LoadView
from personadesk.ui.voice_lab.voice_test_view import VoiceTestView
from personadesk.ui.widgets import ErrorPanel
from personadesk.voice import wav
from personadesk.voice.clips import Clip
from personadesk.voice.jitter import JitterBuffer
from personadesk.voice.load import Pace

Wait = Callable[..., Awaitable[None]]
Run = Callable[[Awaitable[Any]], Any]


class Loudspeaker:
    """Plays nothing, and remembers how much it was given."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def open_output(self, _name: str | None, make: Callable[[int], JitterBuffer]) -> Any:
        buffer = make(24_000)
        self.seconds.append(buffer.seconds)
        return SimpleNamespace(rate=24_000, close=lambda: None), buffer


def _call(*names: str) -> Call:
    call = Call(lambda *_a, **_k: None, lambda **_k: None)  # type: ignore[arg-type,return-value] # nobody talks
    call.show_partners(
        tuple(Partner(name, f"ws://127.0.0.1:{9 + n}") for n, name in enumerate(names))
    )
    return call


class Stage:
    """All views around one lab."""

    def __init__(self, lab: Lab, *names: str) -> None:
        self.lab, self.call, self.speaker = lab, _call(*names), Loudspeaker()
        self.player = Player(lambda: self.speaker)  # type: ignore[arg-type,return-value] # opens outputs alone
        self.compare = CompareView(lab, self.call, self.player)
        self.load = LoadView(lab, self.call)
        self.test = VoiceTestView(lab, self.call, self.player)
        self.views = (self.compare, self.load, self.test)
        for view in self.views:
            view.resize(1200, 760)
            view.show()

    def strike(self) -> None:
        """Take everything away."""
        self.compare.left()
        for view in self.views:
            view.hide()
        for each in (*self.views, self.call, self.player, self.lab):
            each.deleteLater()


@pytest.fixture
def with_stage(run: Run) -> Callable[..., None]:
    def use(story: Callable[[Stage], Awaitable[None]], lab: Lab, *names: str) -> None:
        async def live() -> None:
            stage = Stage(lab, *names)
            try:
                await story(stage)
            finally:
                stage.strike()

        run(live())

    return use


def test_the_best_is_named_in_a_word_and_both_are_heard_from_the_same_moment(
    with_stage: Callable[..., None], clicker: Any, wait_for: Wait
) -> None:
    async def story(stage: Stage) -> None:
        view = stage.compare
        assert "is best" in view.sentence.text()
        rows = {cells[0].text: [cell.text for cell in cells[1:]] for cells in view._rows.rows}
        assert rows["First sound after"] == ["0.43 s  best", "0.71 s"]
        assert [name for name, _points in view.responses.curves] == [
            "A · Front desk",
            "B · Practice",
        ]
        assert "half within" in view.responses.accessibleName()
        clicker.click(view.play)
        await wait_for(lambda: view._at >= 0.0 and len(stage.speaker.seconds) == 1)
        stage.player.moved.emit(2.5)
        clicker.press(view, "B")
        await wait_for(lambda: len(stage.speaker.seconds) == 2)
        first, second = stage.speaker.seconds
        assert first - second == pytest.approx(2.5, abs=0.5), "from where A was"
        clicker.click(view.play)
        await wait_for(lambda: not stage.player.is_on)

    with_stage(story, lab_scenes.lab_of(lab_scenes.comparison()), "Front desk", "Practice")


def test_the_line_that_is_worse_can_be_moved_to_where_the_better_one_is(
    with_stage: Callable[..., None], clicker: Any
) -> None:
    async def story(stage: Stage) -> None:
        asked: list[str] = []
        stage.compare.move_asked.connect(asked.append)
        assert stage.compare.move_line.text() == "Move Practice to Lambda…"
        clicker.click(stage.compare.move_line)
        assert asked == ["Practice"]

    with_stage(story, lab_scenes.lab_of(lab_scenes.comparison()), "Front desk", "Practice")


def test_one_that_could_not_be_called_says_why_in_its_column(
    with_stage: Callable[..., None],
) -> None:
    async def story(stage: Stage) -> None:
        verdicts = stage.compare._rows.rows[0]
        assert verdicts[2].text == "Nothing listens at 127.0.0.1:9000."
        assert not stage.compare.move_line.isVisible()

    with_stage(story, lab_scenes.lab_of(lab_scenes.comparison(gone=True)), "Front desk", "Practice")


def test_reports_are_saved_and_shown(
    with_stage: Callable[..., None],
    clicker: Any,
    wait_for: Wait,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_args: str(tmp_path))
    )
    monkeypatch.setattr(
        QDesktopServices, "openUrl", staticmethod(lambda url: opened.append(url.toLocalFile()))
    )

    async def story(stage: Stage) -> None:
        clicker.click(stage.compare.foot.save)
        clicker.click(stage.load.foot.save)
        await wait_for(lambda: len(opened) == 2)
        assert {Path(page).name for page in opened} == {"comparison.html", "load.html"}
        assert all(Path(page).exists() for page in opened)

    lab = lab_scenes.lab_of(lab_scenes.comparison(), lab_scenes.load_report(Outcome.LATE))
    with_stage(story, lab, "Front desk", "Practice")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [((), "It takes two lines that are up."), (("Front desk",), "It takes two lines that are up.")],
)
def test_a_comparison_needs_two_lines(
    with_stage: Callable[..., None], names: tuple[str, ...], sentence: str
) -> None:
    async def story(stage: Stage) -> None:
        assert not stage.compare.foot.run.isEnabled()
        assert stage.compare.foot._sentence.text() == sentence
        assert stage.load.foot.run.isEnabled() is bool(names)

    with_stage(story, lab_scenes.lab_of(), *names)


def _told(view: VoiceTestView) -> list[str]:
    return [each.text() for each in view.findChildren(QLabel) if each.isVisible()]


def _turns(view: VoiceTestView) -> list[str]:
    assert view.turns is not None
    return [cell.spoken for (cell,) in view.turns.rows]


def test_a_test_tells_each_turn_in_words_and_plays_what_came_back(
    with_stage: Callable[..., None], clicker: Any, wait_for: Wait
) -> None:
    async def story(stage: Stage) -> None:
        view, told = stage.test, _told(stage.test)
        assert "1 of 3 turns did not come out as they should." in told
        assert _turns(view) == [
            "1. “question” is answered, Passed · The answer 1.04 s, limit 1.2 s",
            "2. The answer is waited for, It took 4.8 s.",
            "3. “interruption” stops the voice, Failed · Falling silent 2.00 s, limit 1 s",
            "4. Nothing is said for 5.0 s, Passed · Talking into the silence 0.00 s, limit 0.5 s",
        ]
        view.resize(1000, 420)
        bar = view.area.verticalScrollBar()
        await wait_for(lambda: bar.maximum() > 0)
        QTest.keyClick(view.area, Qt.Key.Key_PageDown)
        assert bar.value() > 0, "the keyboard reaches the end"
        view.resize(1200, 760)
        assert view.play is not None
        assert view.play.accessibleName() == "Play what came back"
        clicker.click(view.play)
        await wait_for(lambda: len(stage.speaker.seconds) == 1)
        recording = stage.lab.test.recording
        assert recording is not None
        assert stage.speaker.seconds[0] == pytest.approx(len(recording.axis()[1]) / 24_000, abs=0.1)
        await wait_for(lambda: view.play.accessibleName() == "Stop playing")
        clicker.click(view.play)
        await wait_for(lambda: not stage.player.is_on)

    with_stage(story, lab_scenes.tested_lab(), "Front desk")


def test_without_a_line_there_is_nothing_to_test(with_stage: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert not stage.test.foot.run.isEnabled()
        assert not stage.test.foot.save.isVisible()
        assert stage.test.foot._sentence.text() == "Make a line first; then it can be tested."

    with_stage(story, lab_scenes.lab_of())


def test_a_load_test_shows_its_number_and_every_step(with_stage: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.load.number.text() == "5"
        assert "with one more, frames come late" in stage.load.sentence.text()
        assert "6: 120 ms, late" in stage.load.graph.accessibleName()

    with_stage(story, lab_scenes.lab_of(report=lab_scenes.load_report(Outcome.LATE)), "Front desk")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real voice server with the echo engine; yields its address."""
    with echo_server(tmp_path_factory.mktemp("echo")) as told:
        yield str(told["url"])


def _real_lab(url: str) -> Lab:
    """A lab whose lines lead to a real server; it listens and measures but shortly."""

    async def callee(name: str) -> Callee:
        return Callee(name, f"{url.replace('http', 'ws')}/api/chat?name={name}", own=True)

    async def ready() -> Any:
        return SimpleNamespace(callee=callee)

    return Lab(ready, listen_s=0.5, pace=Pace(settle=0.1, measure=0.6))


def test_three_clicks_compare_two_lines_on_a_real_server(
    with_stage: Callable[..., None],
    echo: str,
    clicker: Any,
    wait_for: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tone = np.tile(np.sin(np.arange(2400) / 10), 5).astype(np.float32) * 0.3
    monkeypatch.setattr("personadesk.voice.clips.find", lambda name: Clip(tone, name))

    async def story(stage: Stage) -> None:
        view = stage.compare
        assert [box.currentText() for box in view.lines] == ["One", "Two"], "nothing to choose"
        clicker.click(view.foot.run)
        assert view.foot.stop.isVisible()
        assert not view.foot.run.isVisible()
        await wait_for(lambda: stage.lab.comparison is not None)
        await wait_for(view.foot.run.isVisible)
        found = stage.lab.comparison
        assert found is not None
        assert [side.error for side in found.sides] == [None, None]
        assert [cells[0].text for cells in view._rows.rows][:2] == [
            "Voice test",
            "First sound after",
        ]
        assert all(points for _name, points in view.responses.curves)
        clicker.click(view.foot.run)
        await wait_for(lambda: stage.lab.compare_done)
        clicker.click(view.foot.stop)
        await wait_for(view.foot.run.isVisible)
        assert stage.lab.comparison is found, "one that was stopped replaces nothing"

    with_stage(story, _real_lab(echo), "One", "Two")


def test_own_clips_and_scripts_are_said_to_a_real_server_and_stopped(
    with_stage: Callable[..., None],
    echo: str,
    clicker: Any,
    wait_for: Wait,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tone = np.sin(np.arange(12_000) / 10).astype(np.float32) * 0.3
    wav.write_wav(tmp_path / "tone.wav", tone)
    turns = '[[turn]]\nsay = "tone.wav"\n[[turn]]\nsilence = 0.8\n'
    (tmp_path / "turns.toml").write_text(turns, encoding="utf-8")
    chosen, opened = [tmp_path / "tone.wav", tmp_path / "turns.toml"], []
    monkeypatch.setattr(
        QFileDialog, "getOpenFileName", staticmethod(lambda *_args: (str(chosen.pop(0)), ""))
    )
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_args: str(tmp_path))
    )
    monkeypatch.setattr(
        QDesktopServices, "openUrl", staticmethod(lambda url: opened.append(url.toLocalFile()))
    )

    async def story(stage: Stage) -> None:
        view, test = stage.test, stage.lab.test
        clicker.click(view.own_clip)
        assert view.said.currentText() == "tone.wav"
        clicker.click(view.foot.run)
        assert view.foot.stop.isVisible()
        assert not view.foot.run.isVisible()
        await wait_for(view.foot.run.isVisible)
        assert test.error is None
        assert test.report is not None
        assert (test.report.engine, test.report.clip) == ("echo", "tone.wav")
        assert test.report.values["heard_anything"]
        assert str(test.report.sentence) in _told(view)
        clicker.click(view.own_script)
        assert view.said.currentText() == "turns.toml"
        assert any(each.startswith("Not yet proven live") for each in _told(view))
        clicker.click(view.foot.run)
        await wait_for(view.foot.run.isVisible)
        first = test.report
        assert first is not None
        assert [check.figure is None for check in first.turns] == [True, False]
        said, silence = _turns(view)
        assert "Not judged: the echo gives back what it hears and answers nobody." in said
        assert silence.startswith("2. Nothing is said for 0.8 s, ")
        clicker.click(view.foot.save)
        await wait_for(lambda: opened)
        page = Path(opened[0])
        assert page.name == "report.html"
        assert json.loads((page.parent / "report.json").read_text(encoding="utf-8"))["turns"]
        clicker.click(view.foot.run)
        await wait_for(lambda: test.done)
        clicker.click(view.foot.stop)
        await wait_for(view.foot.run.isVisible)
        assert test.report is first, "one that was stopped replaces nothing"
        assert test.error is None

    with_stage(story, _real_lab(echo), "One")


def test_a_real_server_is_loaded_and_stopped(
    with_stage: Callable[..., None], echo: str, clicker: Any, wait_for: Wait
) -> None:
    async def story(stage: Stage) -> None:
        view = stage.load
        view.most.setCurrentText("1")
        clicker.click(view.foot.run)
        await wait_for(lambda: stage.lab.callers == 1)
        assert view.foot._sentence.text() == "1 caller is in"
        await wait_for(view.foot.run.isVisible)
        report = stage.lab.load
        assert report is not None
        assert report.outcome in {Outcome.LIMIT, Outcome.LATE, Outcome.COMPUTER}, (
            "a busy one is late"
        )
        assert len(view.graph.steps) == 1
        assert report.steps[0].frames > 0
        view.most.setCurrentText("32")
        clicker.click(view.foot.run)
        await wait_for(lambda: stage.lab.callers >= 1)
        clicker.click(view.foot.stop)
        await wait_for(view.foot.run.isVisible)
        assert stage.lab.load is not None
        assert stage.lab.load.outcome is not None

    with_stage(story, _real_lab(echo), "One")


def test_a_line_that_is_not_there_is_told_on_the_page(
    with_stage: Callable[..., None], clicker: Any, wait_for: Wait
) -> None:
    async def story(stage: Stage) -> None:
        clicker.click(stage.load.foot.run)
        clicker.click(stage.test.foot.run)
        await wait_for(lambda: stage.lab.load_error is not None and not stage.lab.loading)
        await wait_for(lambda: stage.lab.test.error is not None and stage.lab.test.done is None)
        for view in (stage.load, stage.test):
            panel = view.findChild(ErrorPanel)
            assert panel is not None
            assert "Nothing listens" in panel.accessibleName()

    with_stage(story, _real_lab("http://127.0.0.1:9"), "One")
