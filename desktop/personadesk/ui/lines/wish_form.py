"""The form of what a line shall be: places in order, limits, hours, who wakes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

from personadesk.domain.wish import ANY_SPARE, with_idle
from personadesk.ui.deploy import words as deploy_words
from personadesk.ui.i18n import language, tr
from personadesk.ui.lines.hours_editor import HoursEditor
from personadesk.ui.lines.words import place_name
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    CheckBox,
    ComboBox,
    Kind,
    Size,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.wish import Place, Wish

__all__ = ["WishForm"]

ASK_MS = 600


class WishForm(Card):
    """Changes a wish; nothing counts before Apply.

    Signals:
        applied: The user wants this (a ``Wish``).
        spare_asked: What would a spare cost by this (a ``Wish``)? `tell_spare` takes the answer.
    """

    applied = Signal(object)
    spare_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("What it shall be"), padding=18, gap=12, parent=parent)
        self._wish: Wish | None = None
        self._known: tuple[Place, ...] = ()
        self._places: list[Place] = []
        self._zone = "UTC"
        self._model = label("", Type.BODY, Role.TEXT2, wrap=True)
        self.add(self._model)
        self.add(_heading(tr("Persona")))
        self.persona = QPlainTextEdit()
        self.persona.setAccessibleName(tr("Persona"))
        self.persona.setPlaceholderText(
            tr("Who it is for callers who name no persona of their own.")
        )
        self.persona.setTabChangesFocus(True)
        self.persona.setFixedHeight(self.persona.fontMetrics().lineSpacing() * 5)
        self.persona.textChanged.connect(self._judge)
        self.add(self.persona)
        self.add(_heading(tr("Places, best first")))
        self._rows = vbox(gap=6)
        self.add(self._rows)
        adding = hbox(gap=8)
        self.other = ComboBox(tr("Another place"))
        self.add_place = Button(tr("Add place"), icon="plus")
        self.add_place.clicked.connect(self._add_place)
        adding.addWidget(self.other)
        adding.addWidget(self.add_place)
        adding.addStretch(1)
        self.add(adding)
        self.add(_heading(tr("Limits")))
        self.max_price = _figure(tr("Most dollars an hour for a machine rented by itself"))
        self.spend_limit = _figure(tr("Dollars in all after which it stops"))
        self.add(
            _row(
                tr("A machine rented by itself costs at most"),
                self.max_price,
                tr("$ an hour"),
                tr("Empty: nothing is rented without asking."),
            )
        )
        self.add(
            _row(
                tr("It stops after"),
                self.spend_limit,
                tr("$ in all"),
                tr("Empty: no limit."),
            )
        )
        self.idle = _figure(tr("Minutes without a call after which a rented machine sleeps"))
        self._idle_row = _row(
            tr("A rented machine sleeps after"),
            self.idle,
            tr("min without a call"),
            tr("Empty: never."),
        )
        self.add(self._idle_row)
        self.add(_heading(tr("Hours")))
        self.hours = HoursEditor()
        self.hours.changed.connect(self._judge)
        self.add(self.hours)
        self.wakes = CheckBox(tr("A caller wakes it when it sleeps"))
        self.guarded = CheckBox(tr("Keep it up without asking me"))
        for box in (self.wakes, self.guarded):
            box.toggled.connect(self._judge)
            self.add(box)
        self._add_spare()
        for edit in (self.max_price, self.spend_limit, self.idle):
            edit.textChanged.connect(self._judge)
        self._fault = label("", Type.SMALL, Role.ERR, wrap=True)
        self.add(self._fault)
        foot = hbox(gap=8)
        foot.addStretch(1)
        self.discard = Button(tr("Discard"))
        self.discard.clicked.connect(self._show)
        self.apply = Button(tr("Apply"), kind=Kind.PRIMARY)
        self.apply.clicked.connect(self._apply)
        foot.addWidget(self.discard)
        foot.addWidget(self.apply)
        self.add(foot)

    def _add_spare(self) -> None:
        self.spare = CheckBox(tr("Keep a second voice ready, which takes over when this one fails"))
        self.spare.toggled.connect(self._judge)
        self.add(self.spare)
        self._spare_part = QWidget()
        part = vbox(self._spare_part, gap=4)
        part.setContentsMargins(theme().px(26), 0, 0, 0)
        line = hbox(gap=8)
        line.addWidget(label(tr("It stands best at")))
        self.spare_place = ComboBox(tr("Where the second voice stands best"))
        self.spare_place.currentIndexChanged.connect(self._judge)
        line.addWidget(self.spare_place)
        line.addStretch(1)
        part.addLayout(line)
        self._spare_cost = label("", Type.SMALL, Role.TEXT2, wrap=True)
        part.addWidget(self._spare_cost)
        self.add(self._spare_part)
        # Figures are typed digit by digit; providers are asked when that is over.
        self._asking = QTimer(self)
        self._asking.setSingleShot(True)
        self._asking.setInterval(ASK_MS)
        self._asking.timeout.connect(self._ask_spare)
        self._quoted: Wish | None = None

    def tell_spare(self, wish: Wish, words: str) -> None:
        """Say what a spare costs, if this is still what is asked."""
        if wish == self._quoted:
            self._spare_cost.setText(words)

    def _follow_spare(self, wanted: Wish | None) -> None:
        """Show where it may stand, and ask what it costs; what was chosen stays chosen."""
        self.spare.setEnabled(self.guarded.isChecked())
        shown = self.spare.isChecked() and self.guarded.isChecked()
        self._spare_part.setVisible(shown)
        if not shown or wanted is None or wanted == self._quoted:
            return
        self._quoted = wanted
        self._spare_cost.setText(tr("Asking what it costs…"))
        self._asking.start()

    def _ask_spare(self) -> None:
        if self._quoted is not None:
            self.spare_asked.emit(self._quoted)

    def _fill_spare(self, chosen: str) -> None:
        with QSignalBlocker(self.spare_place):
            self.spare_place.clear()
            self.spare_place.addItem(tr("the next place where the line is not"), ANY_SPARE)
            for place in self._places:
                self.spare_place.addItem(place_name(place), place.key)
            self.spare_place.setCurrentIndex(max(0, self.spare_place.findData(chosen)))

    @property
    def is_changed(self) -> bool:
        """Whether something here is not applied yet."""
        return self._wish is not None and self._wanted() != self._wish

    def show_wish(self, wish: Wish | None, places: Sequence[Place], zone: str) -> None:
        """Show a wish; what is being changed here is kept as long as it is the same line's."""
        other = (wish.line if wish else "") != (self._wish.line if self._wish else "")
        self._known, self._zone = tuple(places), zone
        if wish == self._wish and not other:
            self._fill_other()
            return
        changing = self.is_changed and not other
        self._wish = wish
        if changing:
            self._judge()
        else:
            self._show()

    def _show(self) -> None:
        wish = self._wish
        self.setVisible(wish is not None)
        if wish is None:
            return
        parts = (
            self.persona,
            self.idle,
            self.max_price,
            self.spend_limit,
            self.hours,
            self.wakes,
            self.guarded,
            self.spare,
        )
        blockers = [QSignalBlocker(part) for part in parts]
        self._model.setText(tr("Model: {model}", model=deploy_words.model_name(wish.model)))
        self.persona.setPlainText(wish.persona)
        self.idle.setText(_plain(_idle_of(wish)))
        self.max_price.setText(_written(wish.max_price))
        self.spend_limit.setText(_written(wish.spend_limit))
        self.hours.set_hours(wish.hours, self._zone)
        self.wakes.setChecked(wish.wake_on_connect)
        self.guarded.setChecked(wish.guarded)
        self.spare.setChecked(bool(wish.spare))
        del blockers
        self._places = list(wish.places)
        self._quoted = None
        self._fill_spare(wish.spare)
        self._fill_places()

    def _fill_places(self) -> None:
        clear_layout(self._rows)
        for index, place in enumerate(self._places):
            name = place_name(place)
            row = QWidget()
            line = hbox(row, gap=6)
            line.addWidget(label(f"{index + 1}.", Type.BODY, Role.TEXT3))
            line.addWidget(label(name), 1)
            for icon, word, step, allowed in (
                ("chevron-up", tr("{place} earlier", place=name), -1, index > 0),
                ("chevron-down", tr("{place} later", place=name), 1, index + 1 < len(self._places)),
            ):
                button = Button(kind=Kind.ICON, icon=icon, name=word, size=Size.SMALL)
                button.setEnabled(allowed)
                button.clicked.connect(lambda _=False, at=index, by=step: self._shift(at, by))
                line.addWidget(button)
            remove = Button(
                kind=Kind.ICON, icon="trash", name=tr("Remove {place}", place=name), size=Size.SMALL
            )
            remove.setEnabled(len(self._places) > 1)
            remove.clicked.connect(lambda _=False, at=index: self._take_out(at))
            line.addWidget(remove)
            self._rows.addWidget(row)
        self._fill_other()
        self._fill_spare(self.spare_place.currentData() or ANY_SPARE)
        self._idle_row.setVisible(any(place.rent is not None for place in self._places))
        self._judge()

    def _fill_other(self) -> None:
        used = {place.key for place in self._places}
        left = [place for place in self._known if place.key not in used]
        keys = [self.other.itemData(index) for index in range(self.other.count())]
        if keys != [place.key for place in left]:
            self.other.clear()
            for place in left:
                self.other.addItem(place_name(place), place.key)
        self.other.setVisible(bool(left))
        self.add_place.setVisible(bool(left))

    def _add_place(self) -> None:
        key = self.other.currentData()
        self._places += [place for place in self._known if place.key == key]
        self._fill_places()

    def _shift(self, at: int, by: int) -> None:
        self._places.insert(at + by, self._places.pop(at))
        self._fill_places()

    def _take_out(self, at: int) -> None:
        del self._places[at]
        self._fill_places()

    def _wanted(self) -> Wish | None:
        """Return what stands here; None where a figure cannot be read."""
        if self._wish is None:
            return None
        max_price, readable = _read(self.max_price)
        spend_limit, also = _read(self.spend_limit)
        idle, too = _read(self.idle)
        if not (readable and also and too):
            return None
        wanted = replace(
            self._wish, places=tuple(self._places), max_price=max_price, spend_limit=spend_limit,
            hours=self.hours.hours, wake_on_connect=self.wakes.isChecked(),
            guarded=self.guarded.isChecked(), persona=self.persona.toPlainText().strip(),
            spare=self.spare_place.currentData() if self.spare.isChecked() else "",
        )  # fmt: skip
        # What is the same stays as it is, of each place its own.
        return wanted if idle == _idle_of(self._wish) else with_idle(wanted, idle)

    def _judge(self) -> None:
        wanted = self._wanted()
        hours = self.hours.hours
        fault = ""
        if wanted is None:
            fault = tr("A limit is a number above 0.")
        elif hours is not None and any(
            not span.days or span.begin == span.end for span in hours.spans
        ):
            fault = tr("Choose at least one day, and a time from which and one until which.")
        self._fault.setText(fault)
        self._fault.setVisible(bool(fault))
        self.apply.setEnabled(not fault and self.is_changed)
        self.discard.setEnabled(self.is_changed)
        self._follow_spare(wanted)

    def _apply(self) -> None:
        wanted = self._wanted()
        if wanted is not None:
            self.applied.emit(wanted)


def _heading(text: str) -> QWidget:
    return label(text, Type.BODY, weight=600)


def _figure(name: str) -> QLineEdit:
    edit = QLineEdit()
    edit.setAccessibleName(name)
    edit.setMaximumWidth(edit.fontMetrics().horizontalAdvance("0") * 14)
    return edit


def _row(before: str, edit: QLineEdit, after: str, hint: str) -> QWidget:
    box = QWidget()
    column = vbox(box, gap=4)
    line = hbox(gap=8)
    line.addWidget(label(before))
    line.addWidget(edit)
    line.addWidget(label(after))
    line.addStretch(1)
    column.addLayout(line)
    column.addWidget(label(hint, Type.SMALL, Role.TEXT3, wrap=True))
    return box


def _written(amount: float | None) -> str:
    return "" if amount is None else language().locale.toString(amount, "f", 2)


def _plain(amount: float | None) -> str:
    return "" if amount is None else language().locale.toString(amount, "g", 6)


def _idle_of(wish: Wish) -> float | None:
    """Return after how many minutes the first place that is rented sleeps; None for never, or none."""
    return next((place.rent.idle_stop_minutes for place in wish.places if place.rent), None)


def _read(edit: QLineEdit) -> tuple[float | None, bool]:
    text = edit.text().strip()
    if not text:
        return None, True
    amount, readable = language().locale.toDouble(text)
    return (amount, True) if readable and amount > 0 else (None, False)
