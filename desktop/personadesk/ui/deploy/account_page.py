"""The wizard's page “Which provider?”: all of them with their four answers, and the key of the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from personadesk.domain.provider import by_promise
from personadesk.providers import catalog
from personadesk.ui.accounts.key_form import KeyForm
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import OptionCard
from personadesk.ui.deploy.wizard_pages import WizardPage
from personadesk.ui.i18n import show, tr
from personadesk.ui.rented.four_answers import AnswerMarks, FourAnswersView
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Card, Shape, StateShape, hbox, label

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from personadesk.domain.provider import ProviderFacts
    from personadesk.domain.text import Text
    from personadesk.ui.rented.model import Rented

__all__ = ["AccountPage"]

CARD_WIDTH = 210


class AccountPage(WizardPage):
    """Which provider; the one that promises most is chosen already, and its key is asked for."""

    def __init__(self, draft: flow.Draft, rented: Rented) -> None:
        super().__init__(
            tr("Which provider?"),
            tr("One key of one of them is enough. The marks tell what you can count on there."),
        )
        self._rented = rented
        self._waits = False
        self._columns = 0
        ranked = by_promise(catalog.facts(each) for each in catalog.ids())
        self._facts = {each.id: each for each in ranked}
        self._cards: dict[str, OptionCard] = {}
        self._place = QWidget()
        self._grid = QGridLayout(self._place)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme().px(10))
        for each in ranked:
            self._cards[each.id] = self._make_card(each, recommended=each is ranked[0])
        self.column.addWidget(self._place)
        below = hbox(gap=16)
        self._truth = Card(tr("What you can count on"), padding=20, gap=12)
        self._answers = FourAnswersView()
        self._truth.add(self._answers)
        self._proven = label("", Type.SMALL, Role.TEXT3, wrap=True)
        self._truth.add(self._proven)
        self._truth.column.addStretch(1)
        self._key_card = Card(tr("Connect"), padding=20, gap=14)
        self._forms: dict[str, KeyForm] = {}
        self._form_place = hbox()
        self._key_card.add(self._form_place)
        self._fault = QWidget()
        row = hbox(self._fault, gap=8)
        row.addWidget(
            StateShape(Shape.ERR, tr("Not right yet"), size=14),
            alignment=Qt.AlignmentFlag.AlignTop,
        )
        self._fault_text = label("", Type.SMALL, Role.ERR, wrap=True)
        row.addWidget(self._fault_text, 1)
        self._fault.hide()
        self._key_card.add(self._fault)
        self._key_card.column.addStretch(1)
        below.addWidget(self._key_card, 56)
        below.addWidget(self._truth, 44)
        self.column.addLayout(below)
        self.column.addStretch(1)
        there = [s.account.provider for s in rented.accounts if s.account.provider in self._facts]
        self._chosen = ""
        self._cards[(there or [ranked[0].id])[0]].setChecked(True)
        self._arrange()

    @property
    def form(self) -> KeyForm:
        """The form of the chosen provider."""
        return self._forms[self._chosen]

    def card(self, provider_id: str) -> OptionCard:
        """Return the card of a provider."""
        return self._cards[provider_id]

    def show_fault(self, field: flow.Field, what: Text | None) -> None:
        if field is flow.Field.ACCOUNT:
            self._fault.setVisible(what is not None)
            self._fault_text.setText(show(what) if what else "")

    def focus_field(self, field: flow.Field) -> None:
        if field is flow.Field.ACCOUNT:
            self.form.focus_first()

    def focus_first(self) -> bool:
        self._cards[self._chosen].setFocus()
        return True

    def holds_back(self) -> bool:
        """Try a key that was typed and not tried yet; it goes on by itself when the key is good."""
        form = self.form
        if self._rented.accounts and form.state is not None and form.state.info is not None:
            return False
        if form.is_busy or (form.is_touched and form.submit()):
            self._waits = True
            return True
        return False

    def _make_card(self, facts: ProviderFacts, *, recommended: bool) -> OptionCard:
        marks = AnswerMarks(facts.answers)
        card = OptionCard(facts.title, tr("Recommended") if recommended else "")
        card.column.insertWidget(1, marks)
        card.setAccessibleDescription(marks.told)
        card.toggled.connect(lambda on: self._choose(facts.id) if on else None)
        card.confirmed.connect(lambda: self.form.focus_first())
        return card

    def _choose(self, provider_id: str) -> None:
        if provider_id == self._chosen:
            return
        self._chosen = provider_id
        self._waits = False
        self._rented.give_up()
        facts = self._facts[provider_id]
        if provider_id not in self._forms:
            form = KeyForm(facts, self._rented)
            form.connected.connect(self._connected)
            self._forms[provider_id] = form
            self._form_place.addWidget(form)
        for name, form in self._forms.items():
            form.setVisible(name == provider_id)
        self._key_card.set_title(tr("Connect {provider}", provider=facts.title))
        self._answers.show_answers(facts.answers)
        self._proven.setText(
            "" if facts.proven else tr("Not proven yet with a real account of this provider.")
        )
        self.show_fault(flow.Field.ACCOUNT, None)

    def _connected(self, _name: str) -> None:
        self.show_fault(flow.Field.ACCOUNT, None)
        if self._waits:
            self._waits = False
            self.go_on.emit()

    def _arrange(self) -> None:
        columns = max(2, min(4, self.width() // theme().px(CARD_WIDTH)))
        if columns == self._columns:
            return
        self._columns = columns
        for index, card in enumerate(self._cards.values()):
            self._grid.addWidget(card, *divmod(index, columns))
        for column in range(4):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()
