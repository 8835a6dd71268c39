"""The two small cards of a connected provider: how its account stands, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QMenu, QWidget

from personadesk.ui.accounts import words
from personadesk.ui.accounts.safe_form import SafeForm
from personadesk.ui.i18n import language, show, tr, trn
from personadesk.ui.money import dollars
from personadesk.ui.servers.words import age
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ComboBox,
    ErrorPanel,
    FactList,
    Kind,
    Pill,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.rented.model import AccountState, Rented

__all__ = ["ConnectionCard", "MoneyCard"]


class ConnectionCard(Card):
    """Which account, where its key is, what it may do, and what can be done about it.

    Signals:
        account_chosen: Another account of this provider is wanted (its name).
        replace_asked: Another key is wanted.
        another_asked: A further account is wanted.
        disconnect_asked: The account shall be forgotten.
    """

    account_chosen = Signal(str)
    replace_asked = Signal()
    another_asked = Signal()
    disconnect_asked = Signal()

    def __init__(self, facts: ProviderFacts, rented: Rented, parent: QWidget | None = None) -> None:
        super().__init__(tr("Connection"), padding=18, gap=10, parent=parent)
        self._facts, self._rented = facts, rented
        self._name = ""
        self._shown: object = None
        self._state = Pill("")
        self.add_to_head(self._state)
        self.accounts = ComboBox(tr("Account"))
        self.accounts.currentTextChanged.connect(self._choose)
        self.add(self.accounts)
        self._list = FactList()
        self.add(self._list)
        self._more = vbox(gap=8)
        self.add(self._more)
        self.column.addStretch(1)
        row = hbox(gap=8)
        self.check = Button(tr("Check again"), icon="refresh")
        self.check.clicked.connect(lambda: self._rented.check(self._name))
        self.replace = Button(tr("Replace key…"))
        self.replace.clicked.connect(self.replace_asked)
        more = Button(kind=Kind.ICON, icon="more", name=tr("More"))
        menu = QMenu(more)
        self.another = QAction(tr("Add another account…"), menu)
        self.another.triggered.connect(self.another_asked)
        self.disconnect_ = QAction(tr("Disconnect…"), menu)
        self.disconnect_.triggered.connect(self.disconnect_asked)
        menu.addActions([self.another, self.disconnect_])
        menu.addSeparator()
        for text, url in (
            (tr("Is {provider} well?", provider=facts.title), facts.status),
            (tr("Ask {provider} for more GPUs", provider=facts.title), facts.quota),
            (tr("Open {provider}", provider=facts.title), facts.site),
        ):
            if url:
                menu.addAction(text).triggered.connect(
                    lambda _on=False, url=url: QDesktopServices.openUrl(QUrl(url))
                )
        more.setMenu(menu)
        self.more = more
        row.addWidget(self.check)
        row.addWidget(self.replace)
        row.addStretch(1)
        row.addWidget(more)
        self.add(row)

    def show_account(self, state: AccountState, names: list[str], now: float) -> None:
        """Show an account of this provider, beside the names of them all; `now` is Unix time."""
        self._name = state.account.name
        self.accounts.blockSignals(True)
        if [self.accounts.itemText(n) for n in range(self.accounts.count())] != names:
            self.accounts.clear()
            self.accounts.addItems(names)
        self.accounts.setCurrentText(self._name)
        self.accounts.blockSignals(False)
        self.accounts.setVisible(len(names) > 1)
        shape, word = words.state(state)
        self._state.set_state(word, shape)
        info = state.info
        told = [] if len(names) > 1 else [(tr("Account"), self._name)]
        if info is not None and info.who:
            told.append((tr("Who"), info.who))
        many = len(state.kept) > 1
        told += [(show(kept.title) if many else tr("Key"), words.key(kept)) for kept in state.kept]
        told += [(self._name_of(field), value) for field, value in state.account.settings.items()]
        told.append((tr("Checked"), age(info.checked if info is not None else 0.0, now)))
        if info is not None:
            told.append((tr("Rights"), words.rights(info)))
        told.append((tr("Limits"), self._pace()))
        if state.account.base_url:
            told.append((tr("Asked at"), state.account.base_url))
        self._list.set_facts(told)
        self.check.setEnabled(not state.checking)
        name = self._name
        self.check.setAccessibleName(tr("Check {name} again", name=name))
        self.replace.setAccessibleName(tr("Replace the key of {name}…", name=name))
        self.more.setAccessibleName(tr("More for {name}", name=name))
        self._show_more(state)

    def _name_of(self, field: str) -> str:
        return next((show(each.title) for each in self._facts.fields if each.name == field), field)

    def _pace(self) -> str:
        pace = self._facts.manners.per_second
        if pace == round(pace):
            return trn("{n} request a second", "{n} requests a second", round(pace))
        return tr("{number} requests a second", number=language().locale.toString(pace, "g", 3))

    def _show_more(self, state: AccountState) -> None:
        """Show what is wrong, what is missing and what the account may rent at most."""
        info, error = state.info, state.error
        what = (self._name, error, info.missing if info else (), info.limits if info else ())
        if what == self._shown:
            return
        self._shown = what
        clear_layout(self._more)
        if error is not None:
            self._more.addWidget(self._trouble(error))
        for missing in info.missing if info is not None else ():
            row = hbox(gap=8)
            row.addWidget(StateShape(Shape.WARN, tr("Right missing"), size=14))
            row.addWidget(label(show(missing), Type.SMALL, wrap=True), 1)
            self._more.addLayout(row)
        for limit in info.limits if info is not None else ():
            self._more.addWidget(label(show(limit), Type.SMALL, Role.TEXT2, wrap=True))

    def _trouble(self, error: PersonaDeskError) -> QWidget:
        if error.cause == "vault_locked":
            return SafeForm(self._rented)
        return ErrorPanel.of(error)

    def _choose(self, name: str) -> None:
        if name:
            self.account_chosen.emit(name)


class MoneyCard(Card):
    """What was spent here by us, what it costs now, and what is left."""

    def __init__(self, facts: ProviderFacts, parent: QWidget | None = None) -> None:
        super().__init__(tr("Money"), padding=18, gap=8, parent=parent)
        self._facts = facts
        self.add(label(tr("Spent here today"), Type.SMALL, Role.TEXT3))
        row = hbox(gap=8)
        self._today = label("", Type.FIGURE)
        self._now = label("", Type.BODY, Role.TEXT2)
        row.addWidget(self._today)
        row.addWidget(self._now)
        row.addStretch(1)
        self.add(row)
        self.column.addSpacing(theme().px(6))
        self._list = FactList()
        self.add(self._list)
        self._why = label("", Type.SMALL, Role.TEXT3, wrap=True)
        self.add(self._why)
        self.column.addStretch(1)
        link = Button(
            tr("Open {provider} billing", provider=facts.title), kind=Kind.LINK, icon="external"
        )
        link.setToolTip(facts.billing)
        link.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(facts.billing)))
        foot = hbox()
        foot.addWidget(link)
        foot.addStretch(1)
        self.add(foot)

    def show_money(self, state: AccountState, today: float, month: float, now: float) -> None:
        """Show dollars spent today and this month, and dollars an hour now; all by our own reckoning."""
        self._today.setText(dollars(today))
        self._now.setText(tr("{price} /h now", price=dollars(now)))
        info = state.info
        told = [
            (tr("This month"), dollars(month)),
            (tr("Balance"), words.balance(self._facts, info)),
        ]
        if info is not None and info.spend_per_hour is not None:
            told.append(
                (tr("The whole account"), tr("{price} /h now", price=dollars(info.spend_per_hour)))
            )
        self._list.set_facts(told)
        why = show(info.balance_reason) if info is not None and info.balance is None else ""
        if info is not None and info.balance is not None and info.balance <= 0.0:
            why = tr("Nothing can be rented before money is put in there.")
        self._why.setText(why)
        self._why.setVisible(bool(why))
