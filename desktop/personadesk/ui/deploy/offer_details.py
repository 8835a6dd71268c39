"""One offer beside the table: what can be counted on there, what it costs, and why it was put where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from personadesk.ui.deploy.rent_draft import hourly
from personadesk.ui.deploy.why import why
from personadesk.ui.i18n import show, tr
from personadesk.ui.rented import offer_words
from personadesk.ui.rented.four_answers import FourAnswersView
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Button, Card, ElidedLabel, FactList, Kind, Note, Rule, vbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget

    from personadesk.domain.offer import Offer
    from personadesk.domain.provider import ProviderFacts
    from personadesk.domain.reputation import Doubt, Reputation

__all__ = ["OfferDetails"]


class OfferDetails(Card):
    """The details pane.

    Signals:
        forget_asked: What did badly shall not be held against the offer any more (a tuple of doubts).
    """

    forget_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=18, gap=12, parent=parent)
        head = vbox(gap=2)
        self._gpu = ElidedLabel("", Type.HEADING)
        self._where = ElidedLabel("", Type.SMALL, Role.TEXT2)
        head.addWidget(self._gpu)
        head.addWidget(self._where)
        self.add(head)
        self._doubts: tuple[Doubt, ...] = ()
        self._held = Note("", title=tr("It did badly before"))
        self.add(self._held)
        self._forget = Button(tr("Forget it"), kind=Kind.LINK)
        self._forget.setToolTip(tr("Hold this against it no more, because you know better."))
        self._forget.clicked.connect(lambda: self.forget_asked.emit(self._doubts))
        self.add(self._forget)
        self._answers = FourAnswersView()
        self.add(self._answers)
        self.add(Rule())
        self._facts = FactList()
        self.add(self._facts)
        self.column.addStretch(1)
        self._why = Note("", title=tr("Why this one?"))
        self.add(self._why)

    def show_offer(
        self,
        offer: Offer,
        suiting: Sequence[Offer],
        facts: dict[str, ProviderFacts],
        reputation: Reputation,
    ) -> None:
        """Show another one, or the same as it is now.

        Args:
            offer: Which.
            suiting: All that fit and are within the limits, best first.
            facts: The providers of all these, by id.
            reputation: What is held against them.
        """
        mine = facts[offer.provider]
        self._gpu.setText(
            tr("{gpu} · {size} GB", gpu=offer_words.gpu_name(offer), size=f"{offer.memory_gb:g}")
        )
        self._where.setText(f"{mine.title}, {offer_words.place_of(offer)}")
        self._answers.show_answers(mine.answers)
        rows = [
            (tr("Per hour"), offer_words.per_hour(hourly(offer), estimated=offer.estimated)),
            (tr("Stock"), offer_words.stock(offer)[1]),
            (tr("Account"), offer.account),
        ]
        if offer.disk_price:
            rows.insert(1, (tr("Of that, disk"), offer_words.per_hour(offer.disk_price)))
        if offer.estimated:
            rows.append((tr("Price list of"), offer.price_date))
        self._facts.set_facts(rows)
        self._doubts = reputation.against(offer)
        sound = [each for each in suiting if not reputation.level(each)]
        self._why.setVisible(not self._doubts)
        self._held.setVisible(bool(self._doubts))
        self._forget.setVisible(bool(self._doubts))
        self._held.set_text("\n".join(show(each.why(reputation.now)) for each in self._doubts))
        self._why.set_text(why(offer, sound, facts))
        asleep = show(mine.stop_costs) if mine.can.stop else show(mine.can.stop.reason)
        self._why.setToolTip(asleep)
