"""Weekly hours: always, when somebody calls or starts it, or rows of days with times from and until."""

from __future__ import annotations

from zoneinfo import available_timezones

from PySide6.QtCore import QSignalBlocker, Qt, QTime, Signal
from PySide6.QtWidgets import QTimeEdit, QWidget

from personadesk.domain.hours import ALWAYS, DAY_MINUTES, Hours, Span
from personadesk.ui.i18n import tr
from personadesk.ui.lines.words import DAYS
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, CheckBox, ComboBox, Kind, hbox, label, vbox

__all__ = ["HoursEditor"]

NEVER, WEEK, ALL = range(3)
WORKING = Span((0, 1, 2, 3, 4), 8 * 60 + 30, 18 * 60)


class _Row(QWidget):
    """The same hours on some days."""

    changed = Signal()
    removed = Signal()

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.days: list[CheckBox] = []
        column = vbox(self, gap=4)
        days = hbox(gap=10)
        for number, day in enumerate(DAYS):
            box = CheckBox(tr(day))
            box.setChecked(number in span.days)
            box.toggled.connect(self.changed)
            self.days.append(box)
            days.addWidget(box)
        days.addStretch(1)
        column.addLayout(days)
        times = hbox(gap=8)
        self.begin, self.end = _time(span.begin, tr("From")), _time(span.end, tr("Until"))
        for word, edit in ((tr("from"), self.begin), (tr("until"), self.end)):
            times.addWidget(label(word, Type.BODY, Role.TEXT2))
            times.addWidget(edit)
            edit.timeChanged.connect(self.changed)
        self._night = label("", Type.SMALL, Role.TEXT3)
        times.addWidget(self._night)
        times.addStretch(1)
        self.remove = Button(kind=Kind.ICON, icon="trash", name=tr("Remove these hours"))
        self.remove.clicked.connect(self.removed)
        times.addWidget(self.remove)
        column.addLayout(times)
        self.changed.connect(self._tell_night)
        self._tell_night()

    @property
    def span(self) -> Span:
        """What stands here; midnight as an end is the end of the day."""
        days = tuple(number for number, box in enumerate(self.days) if box.isChecked())
        return Span(days, _minutes(self.begin), _minutes(self.end) or DAY_MINUTES)

    def _tell_night(self) -> None:
        span = self.span
        self._night.setText(tr("of the next day") if span.end <= span.begin else "")


class _ZoneBox(ComboBox):
    """Zones; all 600 are listed when somebody looks, which takes a page more than a moment."""

    def __init__(self) -> None:
        super().__init__(tr("Time zone"))
        self.setSizeAdjustPolicy(ComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(20)
        self._filled = False

    def showPopup(self) -> None:  # noqa: N802 - overrides Qt's
        if not self._filled:
            self._filled = True
            chosen = self.currentText()
            blocker = QSignalBlocker(self)
            self.clear()
            self.addItems(sorted(available_timezones() | {chosen}))
            self.setCurrentText(chosen)
            del blocker
        super().showPopup()


class HoursEditor(QWidget):
    """Chooses hours.

    Signals:
        changed: They are others.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = vbox(self, gap=8)
        self.mode = ComboBox(tr("Hours"))
        self.mode.addItems(
            [tr("When somebody calls or starts it"), tr("By the week"), tr("Always")]
        )  # fmt: skip
        self.mode.currentIndexChanged.connect(self._chosen)
        top = hbox()
        top.addWidget(self.mode)
        top.addStretch(1)
        column.addLayout(top)
        self._week = QWidget()
        week = vbox(self._week, gap=10)
        self._rows = vbox(gap=10)
        week.addLayout(self._rows)
        foot = hbox(gap=8)
        self.add = Button(tr("Add hours"), icon="plus")
        self.add.clicked.connect(lambda: self._add(WORKING))
        foot.addWidget(self.add)
        foot.addStretch(1)
        foot.addWidget(label(tr("Time zone"), Type.BODY, Role.TEXT2))
        self.zone = _ZoneBox()
        self.zone.currentIndexChanged.connect(self.changed)
        foot.addWidget(self.zone)
        week.addLayout(foot)
        column.addWidget(self._week)
        self.rows: list[_Row] = []
        self.set_hours(None, "UTC")

    @property
    def hours(self) -> Hours | None:
        """What is chosen; it may make no sense yet."""
        if self.mode.currentIndex() == NEVER:
            return None
        if self.mode.currentIndex() == ALL:
            return ALWAYS
        return Hours(tuple(row.span for row in self.rows), self.zone.currentText())

    def set_hours(self, hours: Hours | None, zone: str) -> None:
        """Show hours; `zone` is this computer's, for those that have none."""
        self.blockSignals(True)
        always = hours is not None and hours.always
        wanted = hours.zone if hours is not None and not always else zone
        if self.zone.findText(wanted) < 0:
            self.zone.addItem(wanted)
        self.zone.setCurrentText(wanted)
        for row in tuple(self.rows):
            self._remove(row)
        spans = hours.spans if hours is not None and not always else (WORKING,)
        for span in spans:
            self._add(span)
        self.mode.setCurrentIndex(NEVER if hours is None else ALL if always else WEEK)
        self._week.setVisible(self.mode.currentIndex() == WEEK)
        self.blockSignals(False)

    def _chosen(self) -> None:
        self._week.setVisible(self.mode.currentIndex() == WEEK)
        self.changed.emit()

    def _add(self, span: Span) -> None:
        row = _Row(span)
        row.changed.connect(self.changed)
        row.removed.connect(lambda: self._remove(row))
        self.rows.append(row)
        self._rows.addWidget(row)
        self._allow()
        self.changed.emit()

    def _remove(self, row: _Row) -> None:
        self.rows.remove(row)
        self._rows.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._allow()
        self.changed.emit()

    def _allow(self) -> None:
        for row in self.rows:
            row.remove.setEnabled(len(self.rows) > 1)


def _time(minutes: int, name: str) -> QTimeEdit:
    edit = QTimeEdit(QTime(minutes // 60 % 24, minutes % 60))
    edit.setDisplayFormat("HH:mm")
    # Typed, or stepped with the arrow keys, as numbers elsewhere in the window.
    edit.setButtonSymbols(QTimeEdit.ButtonSymbols.NoButtons)
    edit.setAlignment(Qt.AlignmentFlag.AlignCenter)
    edit.setMinimumSize(theme().px(76), theme().px(32))
    edit.setAccessibleName(name)
    edit.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return edit


def _minutes(edit: QTimeEdit) -> int:
    return edit.time().hour() * 60 + edit.time().minute()
