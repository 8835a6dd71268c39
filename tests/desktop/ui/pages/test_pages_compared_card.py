"""The last comparison beside the call: told in short, and made again by one click while nobody talks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QLabel

import lab_scenes
import samples
import talk_scenes
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.compared_card import ComparedCard
from personadesk.ui.voice_lab.lab import Lab

PARTNER = Partner("Front desk", "ws://127.0.0.1:8998/api/chat")


class _Lab(Lab):
    """Remembers what it was to compare."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type] # it asks no services
        self.asked: list[tuple[Any, ...]] = []

    def compare(self, names: list[str], clip: str, rounds: int = 1) -> None:
        self.asked.append((names, clip, rounds))


@pytest.fixture
def call(qapp: QApplication) -> Iterator[Call]:
    made = Call(lambda *_a, **_k: talk_scenes.SampleSession(samples.call()))
    made.show_partners((PARTNER,))
    yield made
    made.deleteLater()


@pytest.fixture
def card(call: Call) -> Iterator[ComparedCard]:
    lab = _Lab()
    made = ComparedCard(lab, call)
    made.show()
    made.follow()
    yield made
    for each in (made, lab):
        each.deleteLater()


def told(card: ComparedCard) -> list[str]:
    """Return the texts that can be read on it, once its layout has shown what is new."""
    QApplication.processEvents()
    return [each.text() for each in card.findChildren(QLabel) if each.isVisible()]


def test_it_is_there_only_after_a_comparison(card: ComparedCard) -> None:
    assert not card.isVisible()
    card._lab.comparison = lab_scenes.comparison()
    card._lab.compared.emit()
    assert card.isVisible()
    texts = told(card)
    assert {"Front desk", "Practice", "First sound after", "0.43 s  best", "0.71 s"} <= set(texts)
    assert "Loudness" not in texts, "what cannot be heard stays under Compare two"


def test_the_same_two_are_compared_again_but_not_during_a_call(
    card: ComparedCard, call: Call, clicker: Any
) -> None:
    card._lab.comparison = lab_scenes.comparison()
    card._lab.compared.emit()
    clicker.click(card.again)
    assert card._lab.asked == [(["Front desk", "Practice"], "question", 1)]  # type: ignore[attr-defined] # ours
    call.start()
    assert not card.again.isEnabled()
    assert card.again.toolTip() == "Hang up first."


def test_a_voice_that_did_not_answer_is_told_as_such(card: ComparedCard) -> None:
    card._lab.comparison = lab_scenes.comparison(gone=True)
    card._lab.compared.emit()
    assert "—" in told(card)
