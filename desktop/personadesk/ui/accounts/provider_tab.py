"""One provider's tab: its account, its money, its promises, its offers and its machines; or the way to connect it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QGridLayout, QPushButton, QWidget

from personadesk import resources
from personadesk.domain.machine import MachineState
from personadesk.ui.accounts import words
from personadesk.ui.accounts.cards import ConnectionCard, MoneyCard
from personadesk.ui.accounts.key_form import KeyForm
from personadesk.ui.accounts.machines_card import MachinesCard
from personadesk.ui.accounts.offers import OffersCard
from personadesk.ui.accounts.questions import ask_disconnect
from personadesk.ui.i18n import tr
from personadesk.ui.money import dollars
from personadesk.ui.servers.findings import CountOnCard
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    IconLabel,
    Kind,
    Size,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from personadesk.domain.machine import Machine
    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.rented.model import AccountState, Rented

__all__ = ["ProviderTab"]

THREE_COLUMNS_FROM = 1080
TICK_MS = 10_000
CHECK_SECONDS = 600.0
"""So old a balance is asked anew while it shows."""


class ProviderTab(Page):
    """The tab, a page within the page.

    Signals:
        deploy_asked: A voice is to be put on an offer (the `Offer`).
        compare_asked: The table of all providers is wanted.
        machine_asked: Details of a machine are wanted (its key).
    """

    deploy_asked = Signal(object)
    compare_asked = Signal()
    machine_asked = Signal(str)

    def __init__(self, facts: ProviderFacts, rented: Rented, parent: QWidget | None = None) -> None:
        """Make the tab.

        Args:
            facts: The provider.
            rented: What is known of its accounts; it outlives the tab.
        """
        super().__init__(parent)
        self.facts = facts
        self._rented = rented
        self._name = ""
        self._shows = False
        self._layout: tuple[bool, bool] | None = None
        self._add = Button(tr("Add account"), kind=Kind.PRIMARY, icon="plus", parent=self)
        self._add.hide()
        self._add.clicked.connect(self.begin_another)
        px = theme().px
        sheet = Sheet()
        column = vbox(sheet, gap=16)
        column.setContentsMargins(px(24), px(14), px(24), px(20))
        self._extra: KeyForm | None = None
        self._extra_card = Card(tr("Another key"), padding=20, gap=14)
        self._extra_place = vbox(gap=12)
        self._extra_card.add(self._extra_place)
        self._extra_card.hide()
        column.addWidget(self._extra_card)
        self._grid = QGridLayout()
        self._grid.setSpacing(px(16))
        column.addLayout(self._grid)
        self.connection = ConnectionCard(facts, rented)
        self.connection.account_chosen.connect(self.show_account)
        self.connection.replace_asked.connect(self._begin_replacing)
        self.connection.another_asked.connect(self.begin_another)
        self.connection.disconnect_asked.connect(self._ask_disconnect)
        self.money = MoneyCard(facts)
        self.connect_card = self._make_connect()
        self._count_on = CountOnCard()
        self._count_on.show_answers(words.count_on(facts.answers))
        compare = Button(tr("Compare all providers"), kind=Kind.LINK)
        compare.clicked.connect(self.compare_asked)
        self._count_on.add_to_head(compare)
        self._count_on.add(self._make_unproven())
        self.offers = OffersCard(facts, rented)
        self.offers.deploy_asked.connect(self.deploy_asked)
        self.machines = MachinesCard(rented)
        self.machines.opened.connect(self.machine_asked)
        column.addWidget(self.offers)
        column.addWidget(self.machines)
        column.addStretch(1)
        vbox(self).addWidget(scrolled(sheet))
        self._clock = QTimer(self)
        self._clock.setInterval(TICK_MS)
        self._clock.timeout.connect(self._tick)
        rented.accounts_changed.connect(self._follow)
        rented.fleet_changed.connect(self._follow)
        self._follow()

    @property
    def title(self) -> str:
        return tr("Accounts")

    @property
    def subtitle(self) -> str:
        return tr("One tab for each provider. Keys are never kept where others can read them.")

    @property
    def primary_action(self) -> QPushButton | None:
        return self._add if self.state is not None and self._extra is None else None

    @property
    def state(self) -> AccountState | None:
        """The account that shows, None where this provider is not connected."""
        return self._rented.account(self._name)

    @property
    def extra(self) -> KeyForm | None:
        """The form for another key or another account, while it is open."""
        return self._extra

    def focus_first(self) -> None:
        """Put the keyboard on the form, or on what is used most."""
        if self._extra is not None:
            self._extra.focus_first()
        elif self.state is None:
            self.form.focus_first()
        else:
            self.connection.check.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        self._shows = True
        self._clock.start()
        if self.state is not None:
            self.offers.show_account(self._name)
            self._rented.look_now()

    def left(self) -> None:
        self._shows = False
        self._clock.stop()

    def show_account(self, name: str) -> None:
        """Show another account of this provider."""
        self._name = name
        self._follow()

    def begin_another(self) -> None:
        """Open the form for a further account."""
        form = KeyForm(self.facts, self._rented, another=True)
        self._open_extra(form, tr("Another account at {provider}", provider=self.facts.title))

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_connect(self) -> Card:
        card = Card(tr("Connect {provider}", provider=self.facts.title), padding=20, gap=14)
        self.form = KeyForm(self.facts, self._rented)
        self.form.connected.connect(self._has_joined)
        card.add(self.form)
        row = hbox(gap=8)
        self._try = Button(tr("Connect"), kind=Kind.PRIMARY)
        self._try.setAccessibleName(tr("Connect {provider}", provider=self.facts.title))
        self._try.clicked.connect(self.form.submit)
        row.addWidget(self._try)
        site = Button(
            tr("Open {provider}", provider=self.facts.title), kind=Kind.LINK, icon="external"
        )
        site.setToolTip(self.facts.site)
        site.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(self.facts.site)))
        row.addWidget(site)
        row.addStretch(1)
        card.add(row)
        least = self.facts.cheapest
        if least is not None:
            card.add(
                label(
                    tr(
                        "A GPU that fits costs from ≈ {price} /h ({gpu}, price list of {date}).",
                        price=dollars(least.price), gpu=least.gpu, date=least.date,
                    ),
                    Type.BODY, wrap=True,
                )
            )  # fmt: skip
        card.add(
            label(
                tr("Connecting costs nothing. Prices and stock show as soon as it is connected."),
                Type.SMALL, Role.TEXT3, wrap=True,
            )
        )  # fmt: skip
        card.column.addStretch(1)
        return card

    def _make_unproven(self) -> QWidget:
        box = QWidget()
        row = hbox(box, gap=6)
        row.addWidget(IconLabel("info", 16, Role.ACCENT_TEXT))
        told = label(tr("Not yet proven with a real account."), Type.SMALL, Role.TEXT2, wrap=True)
        row.addWidget(told, 1)
        page = QUrl.fromLocalFile(str(resources.document("providers.md")))
        link = Button(tr("What that means"), kind=Kind.LINK, icon="external", size=Size.SMALL)
        link.setToolTip(
            tr(
                "It follows {provider}’s published contract; the proof with an account that pays is "
                "still to come. {file} tells how it was tested.",
                provider=self.facts.title, file=page.toLocalFile(),
            )
        )  # fmt: skip
        link.clicked.connect(lambda: QDesktopServices.openUrl(page))
        row.addWidget(link)
        if self.facts.proven:
            box.hide()
        return box

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        states = self._rented.of_provider(self.facts.id)
        names = [each.account.name for each in states]
        if self._name not in names:
            self._name = names[0] if names else ""
        state = self.state
        there = state is not None
        self._place()
        for part in (self.connection, self.money, self.offers, self.machines):
            part.setVisible(there)
        self.connect_card.setVisible(not there)
        if state is not None:
            rented, now = self._rented, self._rented.clock()
            self.connection.show_account(state, names, now)
            price = sum(m.price or 0.0 for m in self._ours())
            self.money.show_money(
                state,
                rented.spent(rented.today, self._name),
                rented.spent(rented.month, self._name),
                price,
            )
            self.machines.show_account(self._name)
            if self._shows:
                self.offers.show_account(self._name)
        self.title_changed.emit()

    def _tick(self) -> None:
        state = self.state
        if state is None:
            return
        self._follow()
        info = state.info
        if info is not None and self._rented.clock() - info.checked >= CHECK_SECONDS:
            self._rented.check(self._name)
        self.machines.tick()
        self.offers.follow()

    def _ours(self) -> list[Machine]:
        """The machines of this account that we made and that still cost something."""
        return [
            machine
            for machine in self._rented.view.machines
            if machine.account == self._name
            and machine.tag
            and machine.state is not MachineState.ENDED
        ]

    # -- deeds ------------------------------------------------------------------------------------------------

    def _begin_replacing(self) -> None:
        form = KeyForm(self.facts, self._rented, replacing=self._name)
        self._open_extra(form, tr("Another key for “{name}”", name=self._name))

    def _open_extra(self, form: KeyForm, title: str) -> None:
        self._rented.give_up()
        clear_layout(self._extra_place)
        self._extra = form
        self._extra_card.set_title(title)
        self._extra_place.addWidget(form)
        row = hbox(gap=8)
        take = Button(tr("Check and keep"), kind=Kind.PRIMARY)
        take.clicked.connect(form.submit)
        cancel = Button(tr("Cancel"), kind=Kind.QUIET, name=tr("Keep the key as it is"))
        cancel.clicked.connect(self._close_extra)
        row.addWidget(take)
        row.addWidget(cancel)
        row.addStretch(1)
        self._extra_place.addLayout(row)
        form.connected.connect(self._has_connected)
        self._extra_card.show()
        self.title_changed.emit()
        form.focus_first()

    def _close_extra(self) -> None:
        self._rented.give_up()
        self._extra = None
        self._extra_card.hide()
        clear_layout(self._extra_place)
        self.title_changed.emit()
        self.focus_first()

    def _has_joined(self, name: str) -> None:
        """The first account here works: go on from its card, as the form is gone."""
        self._name = name
        self._follow()
        if self._shows:
            self.focus_first()

    def _has_connected(self, name: str) -> None:
        self._name = name
        self._close_extra()
        self._follow()
        self.offers.ask()

    def _ask_disconnect(self) -> None:
        name = self._name
        machines = self._ours()
        ask_disconnect(
            self, name, machines,
            disconnect=lambda: self._rented.remove(name),
            end_first=lambda: self._rented.end_and_remove(name, machines),
        )  # fmt: skip

    def _place(self) -> None:
        wide = self.width() >= theme().px(THREE_COLUMNS_FROM)
        layout = (wide, self.state is not None)
        if layout == self._layout:
            return
        self._layout = layout
        cards = (self.connection, self.money, self.connect_card, self._count_on)
        for card in cards:
            self._grid.removeWidget(card)
        stretches = (58, 42, 0)
        if self.state is None:
            self._grid.addWidget(self.connect_card, 0, 0)
            self._grid.addWidget(self._count_on, 0, 1)
        elif wide:
            for index, card in enumerate((self.connection, self.money, self._count_on)):
                self._grid.addWidget(card, 0, index)
            stretches = (36, 24, 40)
        else:
            self._grid.addWidget(self.connection, 0, 0)
            self._grid.addWidget(self.money, 0, 1)
            self._grid.addWidget(self._count_on, 1, 0, 1, 2)
        for index, stretch in enumerate(stretches):
            self._grid.setColumnStretch(index, stretch)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()
