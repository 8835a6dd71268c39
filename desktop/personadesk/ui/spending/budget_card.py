"""Budgets: how each stands, as bars, and a form to set one; what it would stop is said before it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from personadesk.domain.budget import ALL, WARN_SHARE, Act, Budget
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import language, show, tr
from personadesk.ui.spending import words
from personadesk.ui.spending.rows import BudgetRow
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    Kind,
    Size,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QHBoxLayout

    from personadesk.domain.budget import Standing
    from personadesk.ui.spending.model import Purse

__all__ = ["BudgetCard"]


class BudgetCard(Card):
    """The card; it follows the purse."""

    def __init__(
        self, purse: Purse, lines: Callable[[], Sequence[str]], parent: QWidget | None = None
    ) -> None:
        """Make the card.

        Args:
            purse: What is known of money; it outlives the card.
            lines: Returns the names of all lines.
        """
        super().__init__(tr("Budgets"), padding=16, gap=10, parent=parent)
        self._purse = purse
        self._lines = lines
        self._shown: tuple[Standing, ...] | None = None
        self._rows: list[BudgetRow] = []
        self.setAccessibleName(tr("Budgets"))
        self._set = Button(tr("Set a budget…"), size=Size.SMALL)
        self._set.setObjectName("set-budget")
        self._set.clicked.connect(lambda: self.edit(ALL))
        self.add_to_head(self._set)
        self._bar_box = QWidget()
        self._bars = vbox(self._bar_box, gap=10)
        self.add(self._bar_box)
        self._none = label(
            tr("No budget yet. One warns you in time, and stops what costs when it is used up."),
            Type.BODY, Role.TEXT2, wrap=True,
        )  # fmt: skip
        self.add(self._none)
        self.form = self._make_form()
        self.form.hide()
        self.add(self.form)
        self.column.addStretch(1)
        purse.changed.connect(self.follow)
        purse.stops_changed.connect(self._tell_stops)
        self.follow()

    def edit(self, line: str) -> None:
        """Open the form for the budget of a line, of everything with `ALL`."""
        self._fill_lines()
        self.line.setCurrentIndex(max(0, self.line.findData(line)))
        self.form.show()
        self._bar_box.hide()
        self._none.hide()
        self._set.setEnabled(False)
        self._load()
        self.per_day.edit.setFocus()

    def follow(self) -> None:
        """Show how the budgets stand."""
        standings = self._purse.found.budgets if self._purse.found is not None else ()
        if standings == self._shown:
            return
        self._shown = standings
        self._none.setVisible(not standings and self.form.isHidden())
        while len(self._rows) > len(standings):
            gone = self._rows.pop()
            gone.hide()
            gone.deleteLater()
        for index, each in enumerate(standings):
            if index < len(self._rows):
                self._rows[index].show_standing(each)
                continue
            row = BudgetRow(each)
            row.change_asked.connect(self.edit)
            row.more_asked.connect(self._purse.lift)
            self._rows.append(row)
            self._bars.addWidget(row)

    # -- form -------------------------------------------------------------------------------------------------

    def _make_form(self) -> QWidget:
        form = QWidget()
        column = vbox(form, gap=10)
        self.line = ComboBox(tr("For what"))
        self.line.activated.connect(self._load)
        self.per_day = FormField(
            tr("$ a &day"), hint=tr("Empty for no limit"), name=tr("Dollars a day")
        )
        self.per_month = FormField(
            tr("$ a &month"), hint=tr("Empty for no limit"), name=tr("Dollars a month")
        )
        self.warn = FormField(tr("&Warn at %"), hint=tr("80 is usual"))
        self.act = ComboBox(tr("When it is used up"))
        for act, text in words.ACTS.items():
            self.act.addItem(tr(text), act)
        column.addWidget(self.line)
        row = hbox(gap=12)
        for field in (self.per_day, self.per_month, self.warn):
            field.left.connect(self._judge)
            row.addWidget(field, 1, Qt.AlignmentFlag.AlignTop)
        column.addLayout(row)
        then = hbox(gap=8)
        when = label(tr("When it is used up"), Type.BODY, weight=500)
        when.setBuddy(self.act)
        then.addWidget(when)
        then.addWidget(self.act, 1)
        column.addLayout(then)
        self.act.activated.connect(self._judge)
        self._stops = label("", Type.SMALL, Role.TEXT2, wrap=True)
        column.addWidget(self._stops)
        column.addLayout(self._make_buttons())
        return form

    def _make_buttons(self) -> QHBoxLayout:
        row = hbox(gap=8)
        row.setContentsMargins(0, theme().px(2), 0, 0)
        self.save = Button(tr("Keep this budget"), kind=Kind.PRIMARY)
        self.save.clicked.connect(self._save)
        self.clear = Button(tr("Take it away"), kind=Kind.DANGER_OUTLINE)
        self.clear.clicked.connect(self._clear)
        cancel = Button(tr("Cancel"))
        cancel.clicked.connect(self.form_closed)
        for each in (self.save, self.clear, cancel):
            row.addWidget(each)
        row.addStretch(1)
        return row

    def form_closed(self) -> None:
        """Put the form away; nothing is kept."""
        self.form.hide()
        self._bar_box.show()
        self._none.setVisible(not self._shown)
        self._set.setEnabled(True)
        self._set.setFocus()

    def _fill_lines(self) -> None:
        self.line.clear()
        for name in (ALL, *self._lines()):
            self.line.addItem(words.budget_name(name), name)

    def _load(self) -> None:
        line = self.line.currentData() or ALL
        known = self._purse.budget(line)
        budget = known or Budget(line)
        self.per_day.edit.setText(_written(budget.per_day))
        self.per_month.edit.setText(_written(budget.per_month))
        self.warn.edit.setText(f"{round(100 * (budget.warn or WARN_SHARE))}")
        self.act.setCurrentIndex(self.act.findData(budget.act))
        self.clear.setVisible(known is not None)
        for field in (self.per_day, self.per_month, self.warn):
            field.set_fault("")
        self._purse.preview(budget)

    def _read(self) -> Budget | None:
        """Return the budget that the form says; None, with the faults shown, where it makes none."""
        line = self.line.currentData() or ALL
        found: list[float | None] = []
        right = True
        for field, most in ((self.per_day, 1e6), (self.per_month, 1e7), (self.warn, 100.0)):
            text = field.edit.text().strip()
            value, good = _number(text)
            fine = not text or (good and 0.0 < value <= most)
            field.set_fault("" if fine else tr("A number above 0 is needed."))
            right = right and fine
            found.append(value if text else None)
        per_day, per_month, warn = found
        if not right:
            return None
        known = self._purse.budget(line) or Budget(line)
        share = WARN_SHARE if warn is None else warn / 100
        act: Act = self.act.currentData()
        return replace(known, per_day=per_day, per_month=per_month, warn=share, act=act)

    def _judge(self) -> None:
        budget = self._read()
        if budget is not None:
            self._purse.preview(budget)

    def _save(self) -> None:
        budget = self._read()
        if budget is None:
            return
        if budget.per_day is None and budget.per_month is None:
            self.per_day.set_fault(tr("Give a limit for the day or the month."))
            return
        self._purse.save(budget)
        self.form_closed()

    def _clear(self) -> None:
        self._purse.clear(self.line.currentData() or ALL)
        self.form_closed()

    def _tell_stops(self) -> None:
        told = " ".join(show(each) for each in self._purse.stops)
        self._stops.setText(tr("If it were used up now: {told}", told=told) if told else "")


def _written(value: float | None) -> str:
    return "" if value is None else language().locale.toString(value, "f", 2)


def _number(text: str) -> tuple[float, bool]:
    """Read a number as the language writes it, or with a point."""
    value, good = language().locale.toDouble(text)
    if good:
        return value, True
    try:
        return float(text), True
    except ValueError:
        return 0.0, False
