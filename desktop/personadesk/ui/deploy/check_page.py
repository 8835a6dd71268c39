"""The wizard's last page: all that was chosen with ways back, the limits of what is rented, and what was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QGridLayout, QLabel

from personadesk.domain.line import Line
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.ui.deploy import flow, words
from personadesk.ui.deploy.form import Finding
from personadesk.ui.deploy.hub_token import TokenCard
from personadesk.ui.deploy.rent_draft import hourly
from personadesk.ui.deploy.wizard_pages import WizardPage
from personadesk.ui.i18n import show, tr
from personadesk.ui.money import dollars
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    Kind,
    Note,
    Shape,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.ui.deploy.hub_token import HubToken
    from personadesk.ui.deploy.limits_card import LimitsCard
    from personadesk.ui.rented.model import Rented

__all__ = ["CheckPage"]


class CheckPage(WizardPage):
    """All that was chosen, each with a way back, and what was checked."""

    def __init__(self, token: HubToken | None = None, rented: Rented | None = None) -> None:
        """Make the page.

        Args:
            token: Tells whether there is a Hugging Face token; None where no model can want one.
            rented: What is known of accounts; None where nothing can be rented.
        """
        super().__init__(
            tr("Check and start"), tr("This is what will be done. Nothing was changed so far.")
        )
        row = hbox(gap=16)
        summary = Card(tr("What you chose"), padding=20, gap=12)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme().px(16))
        self._grid.setVerticalSpacing(theme().px(8))
        self._grid.setColumnStretch(1, 1)
        self._gpu_row: list[QLabel | Button] = []
        self._place = self._add_row(0, tr("Where"), flow.Page.WHERE)
        self._gpu = self._add_row(1, tr("GPU"), flow.Page.GPU, self._gpu_row)
        self._model = self._add_row(2, tr("Model"), flow.Page.MODEL)
        self._line = self._add_row(3, tr("Line"), flow.Page.LINE)
        self._address = self._add_row(4, tr("Address"), flow.Page.LINE)
        self._price = self._add_row(5, tr("Price"), None)
        summary.add(self._grid)
        summary.column.addStretch(1)
        row.addWidget(summary, 3)
        self._checks = Card(tr("Checked"), padding=20, gap=12)
        self._findings = vbox(gap=12)
        self._checks.add(self._findings)
        self._checks.column.addStretch(1)
        self._machine_check = Finding(tr("My machine"), "", Shape.UNKNOWN)
        self._account_check = Finding(tr("Account"), "", Shape.UNKNOWN)
        self._gpu_check = Finding(tr("GPU"), "", Shape.UNKNOWN)
        self._model_check = Finding(tr("Model"), "", Shape.UNKNOWN)
        self._name_check = Finding(tr("Name of the line"), "", Shape.UNKNOWN)
        self._port_check = Finding(tr("Port"), "", Shape.UNKNOWN)
        for finding in (
            self._machine_check,
            self._account_check,
            self._gpu_check,
            self._model_check,
            self._name_check,
            self._port_check,
        ):
            self._findings.addWidget(finding)
        row.addWidget(self._checks, 2)
        self.column.addLayout(row)
        self._rented = rented
        self._draft: flow.Draft | None = None
        self._limits: LimitsCard | None = None
        self._token = token
        self.token_card = None if token is None else TokenCard(token)
        if self.token_card is not None:
            self.column.addWidget(self.token_card)
        # What must be filled in stands before what may be changed.
        self._limits_place = vbox()
        self.column.addLayout(self._limits_place)
        self._next = Note("")
        self.column.addWidget(self._next)
        self.column.addStretch(1)

    def needs_token(self, draft: flow.Draft) -> bool:
        """Whether the model of a draft is given only to those who have a token."""
        return self._token is not None and draft.model is ModelKind.PERSONAPLEX_7B

    def show_draft(self, draft: flow.Draft) -> None:
        self._draft = draft
        if self._token is not None and self.token_card is not None:
            self.token_card.setVisible(self.needs_token(draft))
            if self.needs_token(draft):
                self._token.look()
        choice = ModelChoice(
            draft.model, draft.folder.strip() if draft.model is ModelKind.FOLDER else None
        )
        rents = draft.where is flow.Where.RENT
        self._show_rent(draft)
        self._place.setText(draft.host or tr("This computer"))
        self._machine_check.setVisible(bool(draft.host))
        for part in (self._account_check, self._gpu_check, *self._gpu_row):
            part.setVisible(rents)
        self._next.set_text(_next_sentence(draft))
        model = words.model_name(choice)
        if draft.model is ModelKind.REHEARSAL:
            model = tr("{model} (untrained, it babbles)", model=model)
        self._model.setText(model)
        self._line.setText(draft.line.strip() or "–")
        port = draft.port.strip()
        self._address.setText(Line("", int(port)).url if port.isascii() and port.isdigit() else "–")
        if rents:
            self._show_choice(draft)
        else:
            self._price.setText(tr("no rent") if draft.host else tr("Free"))

    def _show_rent(self, draft: flow.Draft) -> None:
        rents = draft.where is flow.Where.RENT
        if rents and self._limits is None and self._rented is not None:
            # Providers are not asked for their facts before something is to be rented.
            from personadesk.ui.deploy.limits_card import LimitsCard

            self._limits = LimitsCard(draft.rent, self._rented.setup_seconds)
            self._limits.changed.connect(lambda rent: self.edited.emit({"rent": rent}))
            self._limits.left.connect(self.field_left)
            self._limits.confirmed.connect(self.go_on)
            self.fields |= self._limits.fields
            self._limits_place.addWidget(self._limits)
        if self._limits is not None:
            self._limits.setVisible(rents)
            self._limits.show_rent(draft.rent)

    def _show_choice(self, draft: flow.Draft) -> None:
        from personadesk.ui.rented import offer_words

        choice = draft.rent.choice
        if choice is None:
            self._place.setText("–")
            self._gpu.setText(tr("none chosen"))
            self._price.setText("–")
            return
        title = offer_words.provider_title(choice.provider)
        self._place.setText(f"{title}, {offer_words.place_of(choice)}")
        size = tr("{size} GB", size=f"{choice.memory_gb:g}")
        self._gpu.setText(f"{offer_words.gpu_name(choice)} · {size}")
        self._price.setText(
            offer_words.per_hour(hourly(choice), estimated=choice.estimated, provider=title)
        )

    def _show_rent_checks(self, rent_faults: dict[flow.Field, str]) -> None:
        from personadesk.ui.rented import offer_words

        draft, rented = self._draft, self._rented
        choice = draft.rent.choice if draft is not None else None
        wrong = rent_faults.get(flow.Field.GPU)
        if wrong or choice is None:
            self._gpu_check.show_finding(Shape.ERR, wrong or tr("Choose a GPU."))
        else:
            shape, word = offer_words.stock(choice)
            self._gpu_check.show_finding(shape, tr("Stock: {word}.", word=word))
        state = (
            rented.account(choice.account) if rented is not None and choice is not None else None
        )
        if state is None or state.info is None:
            self._account_check.show_finding(
                Shape.UNKNOWN if state is not None else Shape.ERR,
                show(state.error.what) if state is not None and state.error is not None
                else tr("Not asked yet.") if state is not None else tr("Connect an account first."),
            )  # fmt: skip
            return
        lacking = offer_words.missing(state.info)
        told = offer_words.rights(state.info)
        price = hourly(choice) if choice is not None else None
        balance = state.info.balance
        short = balance is not None and price is not None and balance < 2 * price
        if balance is not None:
            told += " " + tr("Balance: {amount}.", amount=dollars(balance))
        if short:
            told += " " + tr("That is less than two hours.")
        good = not lacking and not short
        self._account_check.show_finding(
            Shape.OK if good else Shape.WARN, f"{told} {lacking}".strip()
        )

    def show_checks(self, found: tuple[flow.Fault, ...]) -> None:
        """Show what is wrong, and that the rest is not."""
        by_field = {fault.field: fault.what for fault in found}
        if self._draft is not None and self._draft.where is flow.Where.RENT:
            self._show_rent_checks({field: show(what) for field, what in by_field.items()})
        for field, shown, good in (
            (flow.Field.MACHINE, self._machine_check, tr("Can run it.")),
            (flow.Field.FOLDER, self._model_check, tr("Can be used.")),
            (flow.Field.LINE, self._name_check, tr("Is free.")),
            (flow.Field.PORT, self._port_check, tr("Is free.")),
        ):
            what = by_field.get(field)
            if what is None:
                shown.show_finding(Shape.OK, good)
            else:
                shown.show_finding(Shape.ERR, show(what))

    def _add_row(
        self,
        index: int,
        title: str,
        page: flow.Page | None,
        parts: list[QLabel | Button] | None = None,
    ) -> ElidedLabel:
        name = label(title, Type.BODY, Role.TEXT3)
        self._grid.addWidget(name, index, 0)
        value = ElidedLabel("", Type.BODY, weight=500)
        self._grid.addWidget(value, index, 1)
        if page is not None:
            change = Button(tr("Change"), kind=Kind.LINK, name=tr("Change: {what}", what=title))
            change.clicked.connect(lambda _checked=False, page=page: self.page_wanted.emit(page))
            self._grid.addWidget(change, index, 2)
            if parts is not None:
                parts += [name, value, change]
        if parts is None:
            self._grid.setRowMinimumHeight(index, theme().px(30))
        return value


def _next_sentence(draft: flow.Draft) -> str:
    if draft.where is flow.Where.RENT:
        return tr(
            "Next: rent the GPU, wait until the machine lets us in, check it, copy the voice server there "
            "and install it, get the model, start it, speak a question to it, and put it behind the line. "
            "If that fails, the machine is ended and costs nothing more."
        )
    if draft.host:
        return tr(
            "Next: check the machine again, copy the voice server there and install it, get the "
            "model, start it, wait until it is ready, speak a question to it through an SSH tunnel, "
            "and put it behind the line."
        )
    return tr(
        "Next: look at this computer, make room, install the voice server, get the model, "
        "start it, wait until it is ready, speak a question to it, and put it behind the line."
    )
