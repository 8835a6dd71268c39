"""Jobs are done one a turn of the loop, the newest of each key, at the place of the oldest."""

from __future__ import annotations

from PySide6.QtCore import QTimer

from personadesk.ui.turns import Turns


def test_the_window_answers_between_two_jobs(qtbot):
    turns, done = Turns(), []
    for name in "abc":
        turns.put(name, lambda name=name: done.append(name))
        QTimer.singleShot(0, lambda name=name: done.append(f"answer to {name}"))
    qtbot.waitUntil(lambda: len(done) == 6)
    assert [each for each in done if len(each) == 1] == ["a", "b", "c"]
    assert done[-1] == "c"
    assert done.index("answer to a") < done.index("b")


def test_a_newer_job_takes_the_place_of_the_older_with_its_key(qtbot):
    turns, done = Turns(), []
    turns.put("a", lambda: done.append("old a"))
    turns.put("b", lambda: done.append("b"))
    turns.put("a", lambda: done.append("new a"))
    turns.finish()
    assert done == ["new a", "b"]


def test_what_is_forgotten_is_not_done(qtbot):
    turns, done = Turns(), []
    turns.put("a", lambda: done.append("a"))
    turns.forget()
    turns.put("b", lambda: done.append("b"))
    qtbot.waitUntil(lambda: done == ["b"])
