"""The limits of what is rented, on the wizard's last page: price, sleep, amount, and a failed machine's end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from personadesk.domain.stopping import made_again
from personadesk.providers import catalog
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Card, CheckBox, hbox, label, vbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.provider import ProviderFacts
    from personadesk.ui.deploy.rent_draft import RentDraft

__all__ = ["LimitsCard"]


class LimitsCard(Card):
    """Edits the limits.

    Attributes:
        fields: What can be typed.

    Signals:
        changed: Something was chosen or typed (the `RentDraft`).
        left: A field was left (its name).
        confirmed: Enter was pressed in a field.
    """

    changed = Signal(object)
    left = Signal(object)
    confirmed = Signal()

    def __init__(
        self,
        rent: RentDraft,
        setup: Callable[[str], float | None],
        parent: QWidget | None = None,
    ) -> None:
        """Make the card.

        Args:
            rent: The limits.
            setup: Returns the seconds that a provider's last machine took until its voice answered, None where
                none was measured.
        """
        super().__init__(tr("Limits"), padding=20, gap=12, parent=parent)
        self._rent = rent
        self._setup = setup
        self._showing = False
        self.fields: dict[flow.Field, FormField] = {}
        row = hbox(gap=24)
        row.addWidget(
            self._field(flow.Field.PRICE, "max_price", tr("&Highest price, $ an hour"), tr("Empty: any price.")),
            1, Qt.AlignmentFlag.AlignTop,
        )  # fmt: skip
        self._idle, idle = self._ticked(
            flow.Field.IDLE, "idle", "idle_minutes",
            tr("Sleep when nobody calls"), tr("after so many &minutes"),
        )  # fmt: skip
        self._spend, spend = self._ticked(
            flow.Field.SPEND, "spend", "spend_limit",
            tr("Sleep when it has cost"), tr("so many &dollars in all"),
        )  # fmt: skip
        row.addWidget(idle, 1, Qt.AlignmentFlag.AlignTop)
        row.addWidget(spend, 1, Qt.AlignmentFlag.AlignTop)
        self.add(row)
        self._sleep = label("", Type.SMALL, Role.TEXT3, wrap=True)
        self.add(self._sleep)
        self._hold = CheckBox(tr("If the deploy fails, keep the machine 30 minutes for a look"))
        self._hold.toggled.connect(lambda on: self._change(hold_failed=on))
        self._address = CheckBox(tr("Keep a fixed address for it"))
        self._address.toggled.connect(lambda on: self._change(static_address=on))
        self._hold_place = QWidget()
        held = vbox(self._hold_place, gap=2)
        held.addWidget(self._hold)
        self._hold_note = label(
            tr("No other offer is taken then. It costs money until it has ended."),
            Type.SMALL, Role.TEXT3, wrap=True,
        )  # fmt: skip
        held.addWidget(self._hold_note)
        self.add(self._hold_place)
        self._address_place = QWidget()
        kept = vbox(self._address_place, gap=2)
        kept.addWidget(self._address)
        self._address_note = label("", Type.SMALL, Role.TEXT3, wrap=True)
        kept.addWidget(self._address_note)
        self.add(self._address_place)
        self.show_rent(rent)

    def show_rent(self, rent: RentDraft) -> None:
        """Show limits, and what the provider of the choice can do."""
        self._rent = rent
        self._showing = True
        for field, typed in (
            (flow.Field.PRICE, rent.max_price),
            (flow.Field.IDLE, rent.idle_minutes),
            (flow.Field.SPEND, rent.spend_limit),
        ):
            edit = self.fields[field].edit
            if edit.text() != typed:
                edit.setText(typed)
        self._idle.setChecked(rent.idle)
        self._spend.setChecked(rent.spend)
        self.fields[flow.Field.IDLE].setEnabled(rent.idle)
        self.fields[flow.Field.SPEND].setEnabled(rent.spend)
        self._hold.setChecked(rent.hold_failed)
        self._address.setChecked(rent.static_address)
        facts = catalog.facts(rent.choice.provider) if rent.choice is not None else None
        can_keep = facts is not None and bool(facts.can.static_address)
        self._address_place.setVisible(can_keep)
        self._address_note.setText(
            show(facts.can.static_address.reason) if facts is not None else ""
        )
        self._address_note.setVisible(bool(self._address_note.text()))
        self._sleep.setText(self._asleep(facts))
        self._sleep.setVisible(facts is not None)
        self._showing = False

    # -- parts ------------------------------------------------------------------------------------------------

    def _field(self, field: flow.Field, name: str, title: str, hint: str) -> FormField:
        made = FormField(title, hint=hint)
        made.edit.setMaximumWidth(theme().px(140))
        made.edit.setMaxLength(10)
        made.edit.textEdited.connect(lambda text: self._typed(field, name, text))
        made.edit.returnPressed.connect(self.confirmed)
        made.left.connect(lambda: self.left.emit(field))
        self.fields[field] = made
        return made

    def _ticked(
        self, field: flow.Field, flag: str, name: str, title: str, unit: str
    ) -> tuple[CheckBox, QWidget]:
        place = QWidget()
        column = vbox(place, gap=4)
        box = CheckBox(title)
        box.toggled.connect(lambda on: self._change(**{flag: on}))
        column.addWidget(box)
        column.addWidget(self._field(field, name, unit, ""))
        return box, place

    # -- deeds ------------------------------------------------------------------------------------------------

    def _typed(self, field: flow.Field, name: str, text: str) -> None:
        if self.fields[field].fault:
            self.fields[field].set_fault("")
        self._change(**{name: text})

    def _change(self, **changes: object) -> None:
        if self._showing:
            return
        rent = replace(self._rent, **changes)  # type: ignore[arg-type] # fields of RentDraft
        self.show_rent(rent)
        self.changed.emit(rent)

    def _asleep(self, facts: ProviderFacts | None) -> str:
        """Return what sleeping means at a provider."""
        if facts is None:
            return ""
        if facts.can.stop:
            return tr(
                "Asleep at {provider}: {sentence}",
                provider=facts.title,
                sentence=show(facts.stop_costs),
            )
        ends = tr(
            "{provider} can’t pause: sleeping ends the machine. What that destroys: {sentence}",
            provider=facts.title, sentence=show(facts.end_destroys),
        )  # fmt: skip
        return f"{ends} {show(made_again(self._setup(facts.id)))}"
