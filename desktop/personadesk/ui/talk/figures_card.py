"""This call in numbers: how fast it answers, who spoke over whom, and what was lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.ui.i18n import language, tr, trn
from personadesk.ui.widgets import Card, FactList

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Partner
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["FiguresCard", "call_facts"]


class FiguresCard(Card):
    """The card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("This call"), padding=16, gap=8, parent=parent)
        self._facts = FactList(gap=5)
        self.add(self._facts)
        self.column.addStretch(1)

    def show_call(self, snapshot: TalkSnapshot | None, partner: Partner | None) -> None:
        """Show a call's figures."""
        facts = call_facts(snapshot) if snapshot is not None else []
        cost = partner.cost if partner is not None else ""
        self._facts.set_facts([*facts, (tr("Costs"), cost or tr("Free"))])


def call_facts(snapshot: TalkSnapshot) -> list[tuple[str, str]]:
    """Return the figures of a call as a name and a value each, in the user's language."""
    answers, counts, buffer = snapshot.responses, snapshot.counts, snapshot.buffer
    dash = "–"
    turns = sum(turn.who == "voice" for turn in snapshot.turns)
    facts = [
        (tr("Turns of the voice"), str(turns)),
        (tr("Answers after"), dash if answers.median_ms is None else _seconds(answers.median_ms)),
        (tr("Slowest answers"), dash if answers.p95_ms is None else _seconds(answers.p95_ms)),
        (tr("You interrupted"), trn("{n} time", "{n} times", answers.interruptions_by_you)),
        (tr("It interrupted"), trn("{n} time", "{n} times", answers.interruptions_by_voice)),
        (tr("Both at once"), _seconds(answers.overlap_ms)),
        (tr("Lost frames"), tr("{n} of {all}", n=counts.lost, all=_count(counts.sent))),
        (tr("Late frames"), tr("{n} of {all}", n=counts.late, all=_count(counts.received))),
        (
            tr("Jitter"),
            dash if counts.jitter_ms is None else tr("{ms} ms", ms=round(counts.jitter_ms)),
        ),
        (
            tr("Jitter buffer"),
            tr("{ms} of {target} ms", ms=round(buffer.ms), target=round(buffer.target_ms)),
        ),
    ]
    if buffer.underruns:
        facts.append((tr("Ran dry"), trn("{n} time", "{n} times", buffer.underruns)))
    if counts.dropped_by_server or counts.dropped_here:
        facts.append(
            (
                tr("Left out to catch up"),
                trn("{n} frame", "{n} frames", counts.dropped_by_server + counts.dropped_here),
            )
        )
    if counts.sent_late_p99_ms is not None:
        facts.append((tr("Sent late, p99"), tr("{ms} ms", ms=round(counts.sent_late_p99_ms))))
    if snapshot.link.breaks:
        away = sum(each.seconds for each in snapshot.link.breaks)
        facts.append((tr("Connection away"), _seconds(1000 * away)))
    return facts


def _seconds(milliseconds: float) -> str:
    return tr("{seconds} s", seconds=language().locale.toString(milliseconds / 1000, "f", 2))


def _count(number: int) -> str:
    return language().locale.toString(number)
