"""The wizard: where, which account and GPU or machine, which model and line, check and start. It edits the draft.

What is valid and what comes next stands in ``flow``. Faults show when a field is left, never while typing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QScrollArea, QStackedWidget, QWidget

from personadesk.domain.plan import ModelKind
from personadesk.ui import dialogs
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.check_page import CheckPage
from personadesk.ui.deploy.machine_page import MachinePage
from personadesk.ui.deploy.rent_draft import ASK_ABOVE, hourly
from personadesk.ui.deploy.wizard_pages import LinePage, ModelPage, WherePage, WizardPage
from personadesk.ui.i18n import tr
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    ElidedLabel,
    FootBar,
    IconLabel,
    Kind,
    StepBar,
    clear_layout,
    hbox,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.text import Text
    from personadesk.hosts.local import Computer
    from personadesk.ui.deploy.form import FormField
    from personadesk.ui.deploy.hub_token import HubToken
    from personadesk.ui.rented.model import Rented
    from personadesk.ui.servers.model import Machines

__all__ = ["WizardView"]


class WizardView(QWidget):
    """The pages with step bar and foot bar.

    Signals:
        draft_changed: Something was typed or chosen (the draft).
        page_changed: Another page is open (its name).
        start_wanted: The last button was pressed and nothing is wrong.
        cancel_wanted: Leave; the draft is kept by its owner.
    """

    draft_changed = Signal(object)
    page_changed = Signal(object)
    start_wanted = Signal(object)
    cancel_wanted = Signal()

    def __init__(
        self,
        draft: flow.Draft,
        page: flow.Page,
        world: flow.World,
        machines: Machines,
        token: HubToken | None = None,
        rented: Rented | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Open the wizard.

        Args:
            draft: What was chosen before.
            page: Where it was left.
            world: What the rules have to know of this computer.
            machines: The machines that a voice can be put on.
            token: Tells whether there is a Hugging Face token.
            rented: What is known of accounts and offers; None where nothing can be rented.
        """
        super().__init__(parent)
        self._draft = draft
        self._world = world
        self._page = page
        self._machines = machines
        self._token = token
        self._rented = rented
        self._computer: tuple[Computer, int] | None = None
        self._titles = {
            flow.Page.WHERE: tr("Where"),
            flow.Page.ACCOUNT: tr("Account"),
            flow.Page.GPU: tr("GPU"),
            flow.Page.MACHINE: tr("My machine"),
            flow.Page.MODEL: tr("Model"),
            flow.Page.LINE: tr("Line"),
            flow.Page.CHECK: tr("Check and start"),
        }
        px = theme().px
        outer = vbox(self)
        head = hbox(gap=12)
        head.setContentsMargins(px(24), px(16), px(24), px(6))
        self._steps_place = hbox()
        self._make_steps()
        head.addLayout(self._steps_place, 1)
        head.addWidget(IconLabel("shield", 16, Role.OK))
        self._free = ElidedLabel("", Type.SMALL, Role.TEXT2)
        head.addWidget(self._free)
        outer.addLayout(head)
        self._stack = QStackedWidget()
        self._pages: dict[flow.Page, WizardPage] = {}
        self._areas: dict[flow.Page, QScrollArea] = {}
        outer.addWidget(self._stack, 1)
        outer.addWidget(self._make_foot())
        self.open_page(page)

    @property
    def draft(self) -> flow.Draft:
        """What was chosen so far."""
        return self._draft

    @property
    def page(self) -> flow.Page:
        """The page that is open."""
        return self._page

    def field(self, field: flow.Field) -> FormField:
        """Return where something is typed."""
        for name in flow.pages(self._draft):
            if field in self._made(name).fields:
                return self._made(name).fields[field]
        raise KeyError(field)

    def page_view(self, name: flow.Page) -> WizardPage:
        """Return a page, made when it was not shown yet."""
        return self._made(name)

    def open_page(self, page: flow.Page) -> None:
        """Show a page."""
        if self._draft.where is flow.Where.RENT and page in {flow.Page.MODEL, flow.Page.LINE}:
            # The short way leaves them out; whoever asks for one by “Change” gets it.
            self._edit({"detours": (*self._draft.detours, page)})
        if page not in flow.pages(self._draft):
            page = flow.Page.WHERE
        self._page = page
        self._steps.set_current(flow.pages(self._draft).index(page))
        shown = self._made(page)
        self._stack.setCurrentWidget(self._areas[page])
        last = flow.following(page, self._draft) is None
        self._next.set_icon("play" if last else None)
        self._back.setVisible(flow.preceding(page, self._draft) is not None)
        shown.show_draft(self._draft)
        self._show_money()
        if last:
            self._show_checks()
        self.page_changed.emit(page)

    def show_computer(self, computer: Computer, free_bytes: int) -> None:
        """Show what this computer is, once it has been looked at."""
        self._computer = (computer, free_bytes)
        for page in self._pages.values():
            page.show_computer(computer, free_bytes)

    def go_on(self) -> None:
        """Continue, or put the keyboard on the first fault."""
        if self._pages[self._page].holds_back():
            return
        found = flow.faults(self._page, self._draft, self._world)
        if found:
            faulty = flow.first_faulty(self._draft, self._world)
            if self._page is flow.Page.CHECK and faulty is not flow.Page.CHECK:
                if faulty is not None:
                    self.open_page(faulty)
                    self.go_on()
                return
            self._show_faults(found)
            self._pages[self._page].focus_field(found[0].field)
            return
        following = flow.following(self._page, self._draft)
        if following is None:
            self._start()
            return
        self.open_page(following)
        self.focus_first()

    def _start(self) -> None:
        choice = self._draft.rent.choice if self._draft.where is flow.Where.RENT else None
        price = hourly(choice) if choice is not None else None
        if price is not None and price > ASK_ABOVE:
            dialogs.ask_rent(self, price, self._start_now)
            return
        self._start_now()

    def _start_now(self) -> None:
        check = self._pages[flow.Page.CHECK]
        draft = self._draft
        if isinstance(check, CheckPage) and check.token_card and check.needs_token(draft):
            check.token_card.need(lambda: self.start_wanted.emit(draft))
            return
        self.start_wanted.emit(draft)

    def go_back(self) -> None:
        """Open the page before."""
        before = flow.preceding(self._page, self._draft)
        if before is not None:
            self.open_page(before)
            self.focus_first()

    def focus_first(self) -> None:
        """Put the keyboard on the first field, or on Continue where there is none."""
        if not self._pages[self._page].focus_first():
            self._next.setFocus()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_foot(self) -> QWidget:
        self._foot = FootBar()
        cancel = Button(tr("Cancel"), kind=Kind.QUIET)
        cancel.clicked.connect(self.cancel_wanted)
        self._foot.add_left(cancel)
        self._back = Button(tr("Back"))
        self._back.clicked.connect(self.go_back)
        self._foot.add_right(self._back)
        self._next = Button(tr("Continue"), kind=Kind.PRIMARY)
        self._next.clicked.connect(self.go_on)
        self._foot.add_right(self._next)
        return self._foot

    def _make_steps(self) -> None:
        clear_layout(self._steps_place)
        passed = flow.pages(self._draft)
        self._steps = StepBar([self._titles[page] for page in passed])
        self._steps.step_chosen.connect(lambda index: self.open_page(passed[index]))
        self._steps_place.addWidget(self._steps, 1)

    def _made(self, name: flow.Page) -> WizardPage:
        """Return a page; it is made when it is first wanted, for those of providers load a good deal."""
        if name in self._pages:
            return self._pages[name]
        made = self._make_page(name)
        made.edited.connect(self._edit)
        made.field_left.connect(self._field_left)
        made.go_on.connect(self.go_on)
        made.page_wanted.connect(self.open_page)
        self._pages[name] = made
        self._areas[name] = scrolled(made)
        self._stack.addWidget(self._areas[name])
        if self._computer is not None:
            made.show_computer(*self._computer)
        return made

    def _make_page(self, name: flow.Page) -> WizardPage:
        if self._rented is not None and name is flow.Page.ACCOUNT:
            from personadesk.ui.deploy.account_page import AccountPage

            return AccountPage(self._draft, self._rented)
        if self._rented is not None and name is flow.Page.GPU:
            from personadesk.ui.deploy.gpu_page import GpuPage

            return GpuPage(self._draft, self._rented)
        if name is flow.Page.MACHINE:
            return MachinePage(self._draft, self._machines)
        if name is flow.Page.MODEL:
            return ModelPage(self._draft)
        if name is flow.Page.LINE:
            return LinePage(self._draft)
        if name is flow.Page.CHECK:
            return CheckPage(self._token, self._rented)
        return WherePage(self._draft)

    def _show_money(self) -> None:
        """Say what goes on costs, in the foot and, on the last page, in the button itself."""
        last = flow.following(self._page, self._draft) is None
        rents = self._draft.where is flow.Where.RENT
        self._free.setText(tr("Nothing costs money yet") if rents else tr("Nothing costs money"))
        self._foot.set_sentence(self._promise(last=last))
        if not last:
            self._next.setText(tr("Continue"))
        elif not rents:
            self._next.setText(tr("Start"))
        else:
            self._next.setText(self._rent_text())

    def _rent_text(self) -> str:
        from personadesk.ui.rented import offer_words

        choice = self._draft.rent.choice
        price = hourly(choice) if choice is not None else None
        if choice is None or price is None:
            return tr("Rent and start")
        told = offer_words.per_hour(price, estimated=choice.estimated)
        return tr("Rent and start · {price}", price=told)

    def _promise(self, *, last: bool) -> str:
        if self._draft.where is flow.Where.RENT:
            return (
                tr("Nothing costs money yet.")
                if last
                else tr("Nothing costs money yet. You can come back to each page.")
            )
        if not last:
            return tr("Nothing costs money yet. You can come back to each page.")
        if self._draft.host:
            return tr("It runs on “{name}”; no rent is paid.", name=self._draft.host)
        return tr("It runs on this computer and costs nothing.")

    def _edit(self, changes: dict[str, object]) -> None:
        before = flow.pages(self._draft)
        drafted = replace(self._draft, **changes)  # type: ignore[arg-type] # fields of Draft
        if "where" in changes:
            drafted = self._went(drafted)
        self._draft = drafted
        if flow.pages(self._draft) != before:
            self._make_steps()
            self._steps.set_current(flow.pages(self._draft).index(self._page))
        self.draft_changed.emit(self._draft)
        if "rent" in changes or "where" in changes:
            self._show_money()

    def _went(self, drafted: flow.Draft) -> flow.Draft:
        """Return the draft as another place wants it: each has its own usual model."""
        if drafted.where is flow.Where.RENT:
            return flow.renting(replace(drafted, where=self._draft.where), self._world)
        here = drafted.where is flow.Where.HERE
        if here and drafted.model is ModelKind.PERSONAPLEX_7B:
            return replace(drafted, model=ModelKind.REHEARSAL)
        return drafted

    def _field_left(self, field: flow.Field) -> None:
        found = {f.field: f.what for f in flow.faults(self._page, self._draft, self._world)}
        what: Text | None = found.get(field)
        self._pages[self._page].show_fault(field, what)

    def _show_faults(self, found: tuple[flow.Fault, ...]) -> None:
        by_field = {fault.field: fault.what for fault in found}
        for field in flow.Field:
            self._pages[self._page].show_fault(field, by_field.get(field))

    def _show_checks(self) -> None:
        check = self._pages[flow.Page.CHECK]
        if isinstance(check, CheckPage):
            check.show_checks(flow.faults(flow.Page.CHECK, self._draft, self._world))
        self._next.setFocus(Qt.FocusReason.OtherFocusReason)
