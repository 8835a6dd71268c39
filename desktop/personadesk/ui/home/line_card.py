"""One line: what it is called, how it stands, its address, what it costs, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.icons import icon
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    AddressField,
    Button,
    Card,
    DayStrip,
    ElidedLabel,
    Figure,
    Kind,
    Pill,
    ProgressBar,
    Rule,
    Sparkline,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.ui.home.model import LineAction, LineView

__all__ = ["LineCard"]


class LineCard(Card):
    """A line's card; a group for assistive technology, with its sum as its name.

    Signals:
        asked: The user wants something of this line (its name, a ``LineVerb``).
    """

    asked = Signal(str, str)

    def __init__(self, line: LineView, parent: QWidget | None = None) -> None:
        super().__init__(padding=18, gap=0, parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        px = theme().px
        self._line = line
        self._buttons: list[tuple[Button, LineAction]] = []
        self._name = ElidedLabel(line.name, Type.HEADING)
        self._about = ElidedLabel(line.about, Type.SMALL, Role.TEXT2)
        self._pill = Pill(line.word, line.shape)
        words = vbox(gap=2)
        words.addWidget(self._name)
        words.addWidget(self._about)
        head = hbox(gap=10)
        head.addLayout(words, 1)
        head.addWidget(self._pill, alignment=Qt.AlignmentFlag.AlignVCenter)
        self.add(head)
        self.column.addSpacing(px(12))
        self._address = AddressField(line.address, line.name)
        self.add(self._address)
        self.column.addSpacing(px(12))
        self.add(self._make_figures(line))
        self.column.addSpacing(px(12))
        self._day_row = QWidget()
        self._strip, self._day = self._make_day(line)
        self.add(self._day_row)
        self.column.addSpacing(px(16))
        # Cards of one row are equally high, with their buttons on one line.
        self.column.addStretch(1)
        self.add(Rule())
        self.column.addSpacing(px(12))
        self._row = hbox(gap=8)
        self._more = Button(kind=Kind.ICON, icon="more", name=tr("More for {line}", line=line.name))
        self._menu = QMenu(self._more)
        self._more.setMenu(self._menu)
        self.add(self._row)
        self._make_buttons()
        self.show_line(line)

    @property
    def line(self) -> LineView:
        """What is shown."""
        return self._line

    def show_line(self, line: LineView) -> None:
        """Show the line as it stands now; only what changed is touched."""
        actions_changed = line.actions != self._line.actions
        self._line = line
        self._name.setText(line.name)
        self._about.setText(line.about)
        self._pill.set_state(line.word, line.shape)
        self._address.set_address(line.address)
        self._now.set_value(line.now)
        self._today.set_value(line.today)
        self._show_fact(line)
        self._strip.set_quarters(line.quarters, tr("Last 24 hours: {sum}", sum=line.day))
        self._day.setText(line.day)
        self._day_row.setVisible(bool(line.quarters))
        self.setAccessibleName(
            tr(
                "{line}, {state}, {about}, costs {price}",
                line=line.name,
                state=line.word,
                about=line.about,
                price=line.now,
            )
        )
        if actions_changed:
            self._make_buttons()

    def focus_first(self) -> None:
        """Put the keyboard on its first button."""
        if self._buttons:
            self._buttons[0][0].setFocus(Qt.FocusReason.OtherFocusReason)

    def _make_figures(self, line: LineView) -> QHBoxLayout:
        row = hbox(gap=28)
        self._now = Figure(tr("Now"), line.now, type_=Type.HEADING)
        self._today = Figure(tr("Today"), line.today, type_=Type.HEADING)
        for figure in (self._now, self._today):
            figure.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            row.addWidget(figure)
        self._fact_box = QWidget()
        fact = hbox(self._fact_box, gap=12)
        # A widget, not only a layout: an empty layout would still take its share of the row.
        self._fact_words = QWidget()
        words = vbox(self._fact_words, gap=3)
        self._fact_title = ElidedLabel("", Type.SMALL, Role.TEXT3)
        self._fact = label("", Type.BODY, weight=600)
        self._fact_sentence = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self._progress = ProgressBar(tr("Progress of {line}", line=line.name), height=8)
        for part in (self._fact_title, self._fact, self._progress):
            words.addWidget(part)
        fact.addWidget(self._fact_words, 1)
        fact.addWidget(self._fact_sentence, 1)
        self._curve = Sparkline(line.fact_title)
        fact.addWidget(self._curve, 1)
        row.addWidget(self._fact_box, 1)
        # Without a live fact the figures stay at the left.
        row.addStretch()
        return row

    def _show_fact(self, line: LineView) -> None:
        titled = bool(line.fact_title)
        self._fact_title.setText(line.fact_title)
        self._fact_words.setVisible(titled)
        self._fact.setText(line.fact)
        self._fact.setVisible(titled and bool(line.fact) and line.fraction is None)
        self._fact_sentence.setText(line.fact)
        self._fact_sentence.setVisible(bool(line.fact) and not titled)
        self._progress.setVisible(line.fraction is not None)
        self._progress.set_fraction(line.fraction)
        self._curve.setVisible(bool(line.trend))
        self._curve.set_values(line.trend, f"{line.fact_title}: {line.fact}")
        self._fact_box.setVisible(titled or bool(line.fact))

    def _make_day(self, line: LineView) -> tuple[DayStrip, ElidedLabel]:
        column = vbox(self._day_row, gap=5)
        head = hbox(gap=12)
        head.addWidget(label(tr("Last 24 hours"), Type.SMALL, Role.TEXT3))
        day = ElidedLabel(line.day, Type.SMALL, Role.TEXT2)
        day.setAlignment(Qt.AlignmentFlag.AlignRight)
        head.addWidget(day, 1)
        strip = DayStrip(line.quarters, "")
        column.addLayout(head)
        column.addWidget(strip)
        return strip, day

    def _make_buttons(self) -> None:
        for button, _ in self._buttons:
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._row.removeWidget(self._more)
        while self._row.takeAt(0) is not None:
            continue
        self._buttons = []
        for action in self._line.actions:
            if action.menu_only:
                continue
            button = Button(
                action.text,
                kind=action.kind,
                icon=action.icon,
                name=f"{action.text} {self._line.name}",
            )
            button.clicked.connect(lambda _checked=False, verb=action.verb: self._ask(verb))
            self._buttons.append((button, action))
            self._row.addWidget(button)
        self._row.addStretch(1)
        self._row.addWidget(self._more)
        self._fit()

    def _ask(self, verb: str) -> None:
        self.asked.emit(self._line.name, str(verb))

    def _fit(self) -> None:
        """Put what does not fit into the menu, last first; the first button always stays."""
        margins = self.contentsMargins()
        side = self.column.contentsMargins()
        room = self.width() - side.left() - side.right() - margins.left() - margins.right()
        gap = self._row.spacing()
        hidden = [action for action in self._line.actions if action.menu_only]
        widths = [button.sizeHint().width() + gap for button, _ in self._buttons]
        more = self._more.sizeHint().width() + gap
        shown = len(widths)
        while (
            shown > 1
            and sum(widths[:shown]) + (more if hidden or shown < len(widths) else 0) > room
        ):
            shown -= 1
        for index, (button, _) in enumerate(self._buttons):
            button.setVisible(index < shown)
        in_menu = [action for _, action in self._buttons[shown:]] + hidden
        self._menu.clear()
        for action in in_menu:
            entry = QAction(icon(action.icon, theme().px(16)), action.text, self._menu)
            entry.triggered.connect(lambda _checked=False, verb=action.verb: self._ask(verb))
            self._menu.addAction(entry)
        self._more.setVisible(bool(in_menu))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
