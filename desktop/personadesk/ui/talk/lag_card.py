"""The lag now, stage by stage, and who is to blame for it; told twice a second, so that the numbers can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt

from personadesk.ui.announce import announce
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Card, Pill, Shape, Stage, StageBar, hbox, label
from personadesk.voice.figures import STAGE_TITLES, Lag
from personadesk.voice.figures import Stage as Way

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

__all__ = ["LagCard"]

HIGH_MS: Final = 300.0
"""Above this people begin to talk over each other; see ui.md 3.5."""
_SERIES: Final = {
    Way.MICROPHONE: (0, False),
    Way.ENCODE: (0, True),
    Way.UPLINK: (1, False),
    Way.QUEUE: (2, False),
    Way.TICK: (3, False),
    Way.DOWNLINK: (4, False),
    Way.JITTER_BUFFER: (5, True),
    Way.PLAYBACK: (5, False),
}


class LagCard(Card):
    """The card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Lag now"), padding=16, gap=8, parent=parent)
        self.pill = Pill("", Shape.EMPTY)
        self.add_to_head(self.pill)
        row = hbox(gap=10)
        self.total = label("–", Type.HERO)
        row.addWidget(self.total, alignment=Qt.AlignmentFlag.AlignVCenter)
        self._unit = label("", Type.SMALL, Role.TEXT2, wrap=True)
        row.addWidget(self._unit, 1)
        self.add(row)
        self.stages = StageBar(())
        self.add(self.stages)
        self.blame = label("", Type.SMALL, Role.TEXT, wrap=True)
        self.add(self.blame)
        self._why = label("", Type.SMALL, Role.TEXT3, wrap=True)
        self.add(self._why)
        self.column.addStretch(1)
        self._shown: object = None
        self.show_lag(Lag(), on=False)

    def show_lag(self, lag: Lag, *, on: bool) -> None:
        """Show the lag of a call; `on` tells whether it goes on."""
        key = (lag, on)
        if key == self._shown:
            return
        self._shown = key
        total = lag.total_ms
        self.total.setText("–" if total is None else str(round(total)))
        self._unit.setText(
            tr("ms from your mouth to its ear and back") if total is not None else _no_total(on=on)
        )
        self.total.setAccessibleName(
            tr("Lag: {ms} ms", ms=round(total)) if total is not None else tr("Lag: not known")
        )
        self.stages.set_stages(
            [
                Stage(show(STAGE_TITLES[each.stage]), each.ms, *_SERIES[each.stage])
                for each in lag.stages
            ]
        )
        self.stages.setToolTip(
            "\n".join(
                f"{show(STAGE_TITLES[each.stage])}: {show(each.why)}"
                for each in lag.stages
                if each.why
            )
        )
        shape, word = _judged(lag, on=on)
        self.pill.set_state(word, shape)
        sentence = show(lag.blame)
        if sentence != self.blame.text():
            self.blame.setText(sentence)
            announce(sentence)
        self.blame.setVisible(bool(sentence))
        reason = (
            "" if not on else next((show(s.why) for s in lag.stages if s.ms is None and s.why), "")
        )
        self._why.setText(reason)
        self._why.setVisible(bool(reason))


def _judged(lag: Lag, *, on: bool) -> tuple[Shape, str]:
    if lag.total_ms is None:
        return (Shape.UNKNOWN, tr("Not known")) if on else (Shape.EMPTY, tr("No call"))
    if lag.total_ms > HIGH_MS:
        return Shape.WARN, tr("High")
    if lag.growing:
        return Shape.WARN, tr("Growing")
    return Shape.OK, tr("Good")


def _no_total(*, on: bool) -> str:
    if not on:
        return tr("Told while you talk.")
    return tr("The server doesn't tell its part yet.")
