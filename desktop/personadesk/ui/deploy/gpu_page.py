"""The wizard's page “Which GPU?”: offers of all accounts, ranked, with the reason for the best one beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtWidgets import QHeaderView, QSizePolicy, QWidget

from personadesk.domain.offer import need_of
from personadesk.providers import catalog
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.offer_details import OfferDetails
from personadesk.ui.deploy.offer_table import OfferTable, Order
from personadesk.ui.deploy.rent_draft import RentDraft, chain, hourly, number, suits
from personadesk.ui.deploy.wizard_pages import WizardPage
from personadesk.ui.i18n import show, tr
from personadesk.ui.money import dollars
from personadesk.ui.rented import offer_words
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    CheckBox,
    ComboBox,
    ElidedLabel,
    Kind,
    Segments,
    Shape,
    StateShape,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.data_table import DataTable

if TYPE_CHECKING:
    from PySide6.QtGui import QHideEvent, QShowEvent
    from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.reputation import Doubt
    from personadesk.domain.text import Text
    from personadesk.ui.rented.model import Rented

__all__ = ["GpuPage"]

PRICES = ("0.50", "1.00", "2.00", "5.00", "10.00", "")
"""Limits to choose from; the last is none."""
ASK_MS = 60_000
TICK_MS = 5_000
_LEAST_TABLE = 190


class GpuPage(WizardPage):
    """Which offer; the best match is chosen already."""

    def __init__(self, draft: flow.Draft, rented: Rented) -> None:
        super().__init__(
            tr("Which GPU?"),
            tr("We picked the one that should work best for you. You can just press Continue."),
        )
        self._rented = rented
        self._draft = draft
        self._asked_by_hand = True
        self._reading = False
        columns = hbox(gap=16)
        left = vbox(gap=12)
        left.addLayout(self._make_filters())
        self.table_model = OfferTable(self)
        self.table = DataTable(tr("GPUs that can be rented"), self.table_model)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for column in (0, 1):  # names have the room that figures leave
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumHeight(theme().px(_LEAST_TABLE))
        self.table.selectionModel().currentRowChanged.connect(self._row_chosen)
        self.table.opened.connect(lambda _index: self.go_on.emit())
        left.addWidget(self.table, 1)
        left.addWidget(self._make_nothing())
        # Takes the table's room while there is none.
        self._room = QWidget()
        self._room.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        left.addWidget(self._room, 1)
        left.addLayout(self._make_foot())
        left.addWidget(self._make_next())
        columns.addLayout(left, 1)
        self._details = OfferDetails()
        self._details.setFixedWidth(theme().px(300))
        self._details.forget_asked.connect(self._forget)
        columns.addWidget(self._details)
        self.column.addLayout(columns, 1)
        self._ask_timer = QTimer(self)
        self._ask_timer.setInterval(ASK_MS)
        self._ask_timer.timeout.connect(self._ask_again)
        self._tick_timer = QTimer(self)
        self._tick_timer.setInterval(TICK_MS)
        self._tick_timer.timeout.connect(self._show_age)
        rented.offers_changed.connect(self._answered)
        rented.accounts_changed.connect(self._show_accounts)
        self._show_accounts()
        self._follow()

    def show_draft(self, draft: flow.Draft) -> None:
        self._draft = draft
        self._show_rent(draft.rent)
        offers = self._rented.offers
        stale = offers.need != self._need() or self._rented.clock() - offers.asked > ASK_MS / 1000
        known = set(offers.failures) | {offer.account for offer in offers.offers}
        unasked = {state.account.name for state in self._rented.accounts} - known
        if not offers.asking and (stale or unasked):
            self._asked_by_hand = True
            self._ask()
        self._follow()

    def show_fault(self, field: flow.Field, what: Text | None) -> None:
        if field is flow.Field.GPU:
            self._fault.setVisible(what is not None)
            self._fault_text.setText(show(what) if what else "")

    def focus_field(self, field: flow.Field) -> None:
        if field is flow.Field.GPU:
            self.table.setFocus()

    def focus_first(self) -> bool:
        # Enter is Continue: what is chosen is good already.
        return False

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_filters(self) -> QHBoxLayout:
        row = hbox(gap=10)
        self._account = ComboBox(tr("Of which account"), icon="accounts")
        self._account.activated.connect(self._account_chosen)
        self._price = ComboBox(tr("Price at most"), icon="coin")
        for price in PRICES:
            self._price.addItem(_up_to(price), price)
        self._price.activated.connect(self._price_chosen)
        self._order = Segments([tr("Best match"), tr("Price")], tr("Order"))
        self._order.chosen.connect(self._order_chosen)
        row.addWidget(self._account)
        row.addWidget(self._price)
        row.addStretch(1)
        row.addWidget(self._order)
        return row

    def _make_nothing(self) -> QWidget:
        self._nothing = Card(padding=16, gap=10)
        row = hbox(gap=10)
        self._nothing_text = label("", Type.BODY, Role.TEXT2, wrap=True)
        self._raise = Button(tr("Raise the limit"))
        self._raise.clicked.connect(self._raise_limit)
        row.addWidget(self._nothing_text, 1)
        row.addWidget(self._raise)
        self._nothing.add(row)
        self._nothing.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        return self._nothing

    def _make_foot(self) -> QVBoxLayout:
        column = vbox(gap=6)
        row = hbox(gap=10)
        self._age = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._again = Button(tr("Ask again"), kind=Kind.LINK, icon="refresh")
        self._again.clicked.connect(self._ask_by_hand)
        row.addWidget(self._again)
        row.addWidget(self._age, 1)
        column.addLayout(row)
        self._failed = QWidget()
        failed = hbox(self._failed, gap=8)
        failed.addWidget(
            StateShape(Shape.WARN, tr("Not asked"), size=14), alignment=Qt.AlignmentFlag.AlignTop
        )
        self._failed_text = label("", Type.SMALL, Role.TEXT2, wrap=True)
        failed.addWidget(self._failed_text, 1)
        column.addWidget(self._failed)
        self._fault = QWidget()
        fault = hbox(self._fault, gap=8)
        fault.addWidget(
            StateShape(Shape.ERR, tr("Not right yet"), size=14), alignment=Qt.AlignmentFlag.AlignTop
        )
        self._fault_text = label("", Type.SMALL, Role.ERR, wrap=True)
        fault.addWidget(self._fault_text, 1)
        self._fault.hide()
        column.addWidget(self._fault)
        return column

    def _make_next(self) -> QWidget:
        card = Card(padding=14, gap=8)
        head = hbox(gap=10)
        self._next_best = CheckBox(tr("If it is sold out, take the next best by itself"))
        self._next_best.toggled.connect(lambda on: self._change(next_best=on))
        head.addWidget(self._next_best)
        self._never = ElidedLabel("", Type.SMALL, Role.TEXT2)
        self._never.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._never, 1)
        card.add(head)
        self._chain = ElidedLabel("", Type.SMALL, Role.TEXT2)
        card.add(self._chain)
        card.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_accounts(self) -> None:
        names = [state.account.name for state in self._rented.accounts]
        shown = [self._account.itemData(index) for index in range(1, self._account.count())]
        if names != shown or not self._account.count():
            self._account.clear()
            self._account.addItem(tr("All accounts ({count})", count=len(names)), "")
            for name in names:
                self._account.addItem(name, name)
        self._account.setCurrentIndex(max(0, self._account.findData(self._draft.rent.account)))

    def _show_rent(self, rent: RentDraft) -> None:
        if self._price.findData(rent.max_price) < 0:
            self._price.insertItem(self._price.count() - 1, _up_to(rent.max_price), rent.max_price)
        self._price.setCurrentIndex(self._price.findData(rent.max_price))
        self._account.setCurrentIndex(max(0, self._account.findData(rent.account)))
        self._next_best.setChecked(rent.next_best)
        most = number(rent.max_price)
        self._never.setText(
            tr("never above {price} /h", price=dollars(most)) if most else tr("at any price")
        )

    def _answered(self) -> None:
        self._follow()

    def _follow(self) -> None:
        offers = self._rented.offers
        mine = offers.need == self._need()
        suiting = self._suiting() if mine else ()
        if mine and not offers.asking:
            self._reading = True
            self.table_model.show_offers(
                suiting, stay=not self._asked_by_hand, reputation=offers.reputation
            )
            self._asked_by_hand = False
            self._reading = False
            self._choose_again(suiting)
        self._again.setEnabled(not offers.asking)
        self._show_nothing(suiting)
        self._failed.setVisible(mine and bool(offers.failures))
        self._failed_text.setText(
            "\n".join(
                f"{name}: {show(error.what)} {show(error.next)}"
                for name, error in offers.failures.items()
            )
        )
        self._show_age()
        self._show_choice()

    def _choose_again(self, suiting: tuple[Offer, ...]) -> None:
        """Keep what was chosen, by its key; take the best match where nothing was, or where it is gone.

        What did badly meanwhile stays only when a person chose it.
        """
        rent = self._draft.rent
        wanted = rent.choice.key if rent.choice is not None else next(iter(rent.offers), "")
        reputation = self._rented.offers.reputation
        kept = next((offer for offer in suiting if offer.key == wanted), None)
        if kept is not None and reputation.level(kept) and not rent.insist:
            kept = None
        choice = kept or next(iter(suiting), None)
        self._take(choice, insist=rent.insist and kept is not None)
        row = self.table_model.position(choice.key) if choice is not None else -1
        if row >= 0 and self.table.currentIndex().row() != row:
            self._reading = True
            self.table.setCurrentIndex(self.table_model.index(row, 0))
            self._reading = False

    def _show_nothing(self, suiting: tuple[Offer, ...]) -> None:
        offers = self._rented.offers
        answered = offers.need == self._need() and bool(offers.asked)
        nothing = not suiting
        self._nothing.setVisible(nothing)
        self.table.setVisible(not nothing)
        self._room.setVisible(nothing)
        self._raise.hide()
        if not nothing:
            return
        if not answered or offers.asking:
            self._nothing_text.setText(tr("Asking your accounts what can be rented now…"))
            return
        nearest = min(
            (o for o in offers.offers if o.price is not None),
            key=lambda o: o.price or 0.0,
            default=None,
        )
        if nearest is None:
            self._nothing_text.setText(
                tr("Nothing that fits is offered now. Ask again later, or connect another account.")
            )
            return
        price = hourly(nearest)
        title = offer_words.provider_title(nearest.provider)
        self._nothing_text.setText(
            tr(
                "Nothing fits right now. The nearest: {gpu} at {provider}, {price}, if you raise the limit.",
                gpu=nearest.gpu, provider=title,
                price=offer_words.per_hour(price, estimated=nearest.estimated),
            )
        )  # fmt: skip
        self._raise.setText(tr("Raise to {price}", price=dollars(_limit_for(nearest))))
        self._raise.show()

    def _show_age(self) -> None:
        offers = self._rented.offers
        if offers.asking:
            self._age.setText(tr("Asking your accounts…"))
        elif offers.asked:
            self._age.setText(offer_words.ago(self._rented.clock() - offers.asked))
        else:
            self._age.setText("")

    def _show_choice(self) -> None:
        rent = self._draft.rent
        suiting = self._suiting()
        facts = {each: catalog.facts(each) for each in {o.provider for o in suiting}}
        choice = rent.choice
        if choice is None or choice.provider not in facts:
            self._details.hide()
        else:
            self._details.show_offer(choice, suiting, facts, self._rented.offers.reputation)
            self._details.show()
        by_key = {offer.key: offer for offer in suiting}
        names = [
            f"{number}  {by_key[key].gpu} · {facts[by_key[key].provider].title} "
            f"({offer_words.per_hour(hourly(by_key[key]), estimated=by_key[key].estimated)})"
            for number, key in enumerate(rent.offers[:4], 1)
            if key in by_key
        ]
        self._chain.setVisible(rent.next_best and len(names) > 1)
        self._chain.setText("   →   ".join(names))

    # -- deeds ------------------------------------------------------------------------------------------------

    def _need(self) -> Need:
        return need_of(self._draft.model)

    def _suiting(self) -> tuple[Offer, ...]:
        return tuple(o for o in self._rented.offers.offers if suits(o, self._draft.rent))

    def _ask(self) -> None:
        self._rented.ask_offers(self._need())

    def _ask_by_hand(self) -> None:
        self._asked_by_hand = True
        self._ask()

    def _ask_again(self) -> None:
        if not self._rented.offers.asking:
            self._ask()

    def _row_chosen(self, index: QModelIndex, _before: QModelIndex) -> None:
        if not self._reading:
            self._take(self.table_model.at(index), insist=True)
            self.show_fault(flow.Field.GPU, None)
            self._show_choice()

    def _take(self, choice: Offer | None, *, insist: bool) -> None:
        rent = self._draft.rent
        offers = chain(choice, self._rented.offers.offers, rent) if choice is not None else ()
        self._edit(replace(rent, choice=choice, offers=offers, insist=insist))

    def _forget(self, doubts: tuple[Doubt, ...]) -> None:
        self._asked_by_hand = True
        self._rented.forget(doubts)

    def _change(self, **fields: object) -> None:
        rent = replace(self._draft.rent, **fields)  # type: ignore[arg-type] # fields of RentDraft
        if rent == self._draft.rent:
            return
        self._edit(rent)
        self._show_rent(rent)
        self._asked_by_hand = True
        self._follow()

    def _edit(self, rent: RentDraft) -> None:
        if rent != self._draft.rent:
            self._draft = replace(self._draft, rent=rent)
            self.edited.emit({"rent": rent})

    def _account_chosen(self, index: int) -> None:
        self._change(account=self._account.itemData(index))

    def _price_chosen(self, index: int) -> None:
        self._change(max_price=self._price.itemData(index))

    def _order_chosen(self, index: int) -> None:
        self.table_model.set_order(list(Order)[index], self._suiting())
        self._choose_again(self._suiting())

    def _raise_limit(self) -> None:
        priced = [o for o in self._rented.offers.offers if o.price is not None]
        nearest = min(priced, key=lambda offer: offer.price or 0.0)
        self._change(max_price=f"{_limit_for(nearest):.2f}", account="")

    # -- Qt ---------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask_timer.start()
        self._tick_timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ask_timer.stop()
        self._tick_timer.stop()


def _limit_for(offer: Offer) -> float:
    """Return the least limit to the cent that an offer is within."""
    return -(-(offer.price or 0.0) * 100 // 1) / 100


def _up_to(price: str) -> str:
    most = number(price)
    return tr("Up to {price} /h", price=dollars(most)) if most else tr("Any price")
