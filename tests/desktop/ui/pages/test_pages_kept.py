"""Kept calls on a real disk: found, read, noted, exported, played and deleted by real clicks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from personadesk.ui.dialogs import Question
from personadesk.ui.talk.kept_calls import KeptCalls
from personadesk.ui.talk.kept_view import KeptView
from personadesk.voice.jitter import JitterBuffer
from personadesk.voice.recorder import Form
from personadesk.voice.sessions import CALLS, Sessions


class Loudspeaker:
    """Plays nothing, but as long as it would take a listener."""

    def __init__(self) -> None:
        self.buffers: list[JitterBuffer] = []

    def open_output(self, _name: str | None, make: Callable[[int], JitterBuffer]) -> Any:
        self.buffers.append(make(24_000))
        return SimpleNamespace(rate=24_000, close=lambda: None), self.buffers[-1]


def keep(root: Path, line: str, words: str, now: float) -> None:
    """Keep a call of one second."""
    sessions = Sessions(root)
    recorder = sessions.begin(line, "ws://127.0.0.1:8998/api/chat", Form.WAV, now=now)
    tone = np.full(24_000, 0.25, np.float32)
    recorder.you(0.0, tone)
    recorder.voice(0.0, tone)
    recorder.event(0.2, "words", text=words)
    assert recorder.close()
    sessions.finish(recorder.folder)


@pytest.fixture
def with_view(
    run: Callable[[Awaitable[Any]], Any],
    tmp_path: Path,
    wait_for: Callable[..., Awaitable[None]],
) -> Callable[..., None]:
    def use(story: Callable[[KeptView, KeptCalls, Loudspeaker], Awaitable[None]]) -> None:
        from personadesk.ui.deploy.player import Player

        async def ready() -> Any:
            return SimpleNamespace(folders=SimpleNamespace(data=tmp_path))

        async def live() -> None:
            keep(tmp_path / CALLS, "Front desk", "We are open until five.", 1_000_000.0)
            keep(tmp_path / CALLS, "Museum", "The lightship is red.", 2_000_000.0)
            calls, speaker = KeptCalls(ready), Loudspeaker()
            player = Player(lambda: speaker)  # type: ignore[arg-type, return-value] # opens outputs alone
            view = KeptView(calls, player)
            view.resize(1200, 800)
            view.show()
            view.activateWindow()
            view.entered()
            await wait_for(lambda: calls.captions and view.isActiveWindow())
            try:
                await story(view, calls, speaker)
            finally:
                view.left()
                view.hide()
                for each in (view, calls, player):
                    each.deleteLater()

        run(live())

    return use


def test_the_newest_call_is_shown_with_its_words_and_sound(with_view: Callable[..., None]) -> None:
    async def story(view: KeptView, calls: KeptCalls, _speaker: Loudspeaker) -> None:
        assert [row[0].text for row in view._rows.rows] == ["Museum", "Front desk"]
        assert [row.text for row in view.transcript.rows] == ["The lightship is red."]
        assert max(calls.levels[0]) == pytest.approx(0.25, abs=0.01)

    with_view(story)


def test_words_are_searched_and_a_note_is_kept(
    with_view: Callable[..., None], wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(view: KeptView, calls: KeptCalls, _speaker: Loudspeaker) -> None:
        view.notes.setFocus()
        QTest.keyClicks(view.notes, "Slow on Monday")
        view.search.setFocus()
        QTest.keyClicks(view.search, "monday")
        await wait_for(lambda: calls.found is not None and len(calls.found) == 1)
        assert calls.found is not None
        assert (calls.found[0].line, calls.found[0].notes) == ("Museum", "Slow on Monday")
        view.search.clear()
        QTest.keyClicks(view.search, "open five")
        await wait_for(lambda: calls.chosen is not None and calls.chosen.line == "Front desk")
        await wait_for(
            lambda: [row.text for row in view.transcript.rows] == ["We are open until five."]
        )
        assert view.notes.toPlainText() == ""
        QTest.keyClicks(view.search, " nonsense")
        await wait_for(lambda: calls.found == ())
        assert "No kept call" in view._empty.text()

    with_view(story)


def test_a_call_is_played_and_stopped(
    with_view: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(view: KeptView, _calls: KeptCalls, speaker: Loudspeaker) -> None:
        clicker.click(view.play)
        await wait_for(lambda: speaker.buffers)
        assert speaker.buffers[0].pull(2400)[100] == pytest.approx(0.5, abs=0.02), (
            "both sides mixed"
        )
        await wait_for(lambda: view.play.accessibleName() == "Stop playing")
        clicker.click(view.play)
        assert view.play.accessibleName() == "Play the call"

    with_view(story)


def test_the_transcript_leaves_as_a_file(
    with_view: Callable[..., None],
    clicker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    out: list[Path] = [tmp_path / "out.srt", tmp_path / "out.json"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a: (str(out[-1]), ""))
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))

    async def story(view: KeptView, calls: KeptCalls, _speaker: Loudspeaker) -> None:
        clicker.press(view, "Export JSON…")
        await wait_for(lambda: out[1].exists() and out[1].stat().st_size)
        assert json.loads(out[1].read_text())[0]["text"] == "The lightship is red."
        out.pop()
        clicker.press(view, "Export SRT…")
        await wait_for(lambda: out[0].exists() and out[0].stat().st_size)
        assert "-->" in out[0].read_text()
        clicker.press(view, "Open folder")
        assert calls.chosen is not None
        assert opened == [str(calls.chosen.folder)]

    with_view(story)


def test_a_call_is_deleted_only_after_a_yes(
    with_view: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(view: KeptView, calls: KeptCalls, _speaker: Loudspeaker) -> None:
        assert calls.chosen is not None
        folder = calls.chosen.folder
        clicker.press(view, "Delete…")
        (asked,) = [each for each in view.findChildren(Question) if each.isVisible()]
        clicker.press(asked, "Cancel")
        assert folder.exists()
        clicker.press(view, "Delete…")
        (asked,) = [each for each in view.findChildren(Question) if each.isVisible()]
        clicker.press(asked, "Delete")
        await wait_for(lambda: not folder.exists())
        await wait_for(lambda: calls.chosen is not None and calls.chosen.line == "Front desk")

    with_view(story)
