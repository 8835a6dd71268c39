"""The foot of the view of all GPUs: the worst news with the way to it, and what all of it adds up to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QWidget

from personadesk.domain.alarm import Severity
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.theme import Role, Type, theme, wear, worn
from personadesk.ui.widgets import (
    Button,
    ElidedLabel,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    set_tone,
)

if TYPE_CHECKING:
    from personadesk.domain.alarm import Alarm
    from personadesk.ui.monitor.fleet import Sums

__all__ = ["NewsFoot"]


class NewsFoot(QFrame):
    """The foot.

    Signals:
        machine_asked: The user wants to see the machine that the news is about (its name in the monitor).
    """

    machine_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "footbar")
        self._worst = ""
        self._shape: Shape | None = None
        self._worn = worn()
        row = hbox(self, gap=10)
        px = theme().px
        row.setContentsMargins(px(20), px(10), px(20), px(10))
        self._shape_place = hbox()
        row.addLayout(self._shape_place)
        self.news = ElidedLabel("", Type.BODY)
        row.addWidget(self.news, 3)
        self.button = Button(tr("Show machine"))
        self.button.clicked.connect(lambda: self.machine_asked.emit(self._worst))
        row.addWidget(self.button)
        self.sums = ElidedLabel("", Type.SMALL, Role.TEXT2, weight=600)
        self.sums.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.sums, 2)

    def tell(self, alarms: tuple[Alarm, ...], sums: Sums) -> None:
        """Say how it is now."""
        worst = next((each for each in alarms if each.rule.severity is Severity.ERROR), None)
        worst = worst or next(iter(alarms), None)
        self._worst = worst.host if worst is not None else ""
        self.button.setVisible(worst is not None)
        if worst is None:
            shape = Shape.OK
            self.news.setText(tr("Nothing is wrong."))
        else:
            shape = Shape.ERR if worst.rule.severity is Severity.ERROR else Shape.WARN
            more = trn("and {n} more", "and {n} more", len(alarms) - 1) if len(alarms) > 1 else ""
            self.news.setText(" ".join(part for part in (show(worst.text), more) if part))
        if shape is not self._shape:
            self._shape = shape
            clear_layout(self._shape_place)
            with wear(self._worn):
                self._shape_place.addWidget(StateShape(shape, "", size=16))
        parts = [
            trn("{n} call", "{n} calls", sums.calls), trn("{n} GPU", "{n} GPUs", sums.gpus),
            tr("{price} /h", price=dollars(sums.price)) if sums.price else "",
            tr("worst frame p99 {ms} ms", ms=round(sums.worst_ms)) if sums.worst_ms is not None else "",
        ]  # fmt: skip
        self.sums.setText("  ·  ".join(part for part in parts if part))
        set_tone(self.sums, Role.WARN if (sums.worst_ms or 0) > 80 else Role.TEXT2)
