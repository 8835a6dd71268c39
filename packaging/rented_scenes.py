"""Pages of accounts, offers and rented machines in their states, made of sample data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt

import rented_samples as samples
from monitor_scenes import graphs_watch
from personadesk.deploy.rented.fleet import FleetView
from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.offer import Need
from personadesk.domain.text import T
from personadesk.providers import catalog, faults
from personadesk.providers.accounts import Kept
from personadesk.store.secrets import Place, no_keyring
from personadesk.store.vault import locked
from personadesk.ui.accounts.compare import CompareDialog
from personadesk.ui.accounts.page import AccountsPage
from personadesk.ui.accounts.questions import disconnect_question
from personadesk.ui.accounts.safe_form import SafeForm
from personadesk.ui.instances.page import InstancesPage
from personadesk.ui.rented.model import AccountState, Attempt, Offers, Rented
from personadesk.ui.servers.model import Machines

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QDialog

    from personadesk.domain.account import Account
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.ui.shell import Page

__all__ = ["RENTED_SCENES", "rented_of"]


class _StillFleet:
    """A fleet that stays as it is."""

    def __init__(self, view: FleetView) -> None:
        self.view = view

    def look_now(self) -> None:
        """Nothing changes."""


async def _never() -> Any:
    raise AssertionError("a picture asks for nothing")


class _Still(Rented):
    """What is known, and nothing is asked."""

    def ask_shelf(self, _name: str, _need: Need) -> None:
        """The shelf stays as it is."""

    def look_now(self) -> None:
        """Machines stay as they are."""


def rented_of(view: FleetView, *accounts: Account) -> Rented:
    """Return what the window knows, with these machines and accounts."""
    rented = _Still(_never, clock=lambda: samples.NOW)
    rented._fleet = _StillFleet(view)  # type: ignore[assignment] # what pictures need of one
    rented._accounts = {each.name: AccountState(each, samples.INFO) for each in accounts}
    rented.costs = tuple(samples.COSTS)
    rented.loaded = True
    return rented


def _instances(view: FleetView, *accounts: Account, chosen: str = "") -> Page:
    rented = rented_of(view, *accounts)
    watch = graphs_watch(samples.FRONT_DESK.tag)
    page = InstancesPage(rented, watch)
    rented.setParent(page)
    watch.setParent(page)
    if chosen:
        if page.details.graphs is not None:
            page.details.graphs.build()  # a picture waits for no thread
        page.choose(chosen)
    return page


def account_page(
    view: FleetView, *states: AccountState, provider: str = "", locked: bool = False
) -> AccountsPage:
    """Return the page of accounts with these accounts, at the tab of a provider."""
    rented = rented_of(view)
    rented._accounts = {each.account.name: each for each in states}
    rented.locked = locked
    rented._shelves = {
        each.account.name: Offers(Need(), samples.SHELF, asked=samples.NOW - 40) for each in states
    }
    machines = Machines(_never, _never, _never)
    page = AccountsPage(machines, rented)
    for each in (rented, machines):
        each.setParent(page)
    if provider:
        page.choose(provider)
    page.entered()
    page.left()
    return page


def connected(account: Account, **changes: Any) -> AccountState:
    """Return an account as it is when all is well, but for the changes."""
    return replace(AccountState(account, samples.INFO, kept=samples.KEPT), **changes)


def _accounts(*states: AccountState, **choices: Any) -> Page:
    return account_page(samples.VIEW, *states, **choices)


def _asked_key(error: PersonaDeskError) -> Page:
    page = account_page(samples.VIEW, provider="runpod")
    form = page.tab("runpod").form
    form._trying = "RunPod"
    page._rented._attempt(Attempt(error=error, name="RunPod"))
    return page


def _no_file() -> Page:
    page = _asked_key(no_keyring("no backend"))
    page.tab("runpod").form.findChild(SafeForm).file.click()
    return page


def _disconnect() -> Page:
    page = account_page(samples.VIEW, connected(samples.STUDIO))
    # The question is a window of its own; here it lies below the page, where the picture has it.
    return _below(page, disconnect_question(page, "Studio", [samples.FRONT_DESK]))


def _compare() -> Page:
    page = account_page(samples.VIEW, provider="runpod")
    ranked = sorted(page._facts.values(), key=lambda each: -each.answers.score())
    dialog = CompareDialog(page, ranked)
    dialog.setMinimumHeight(420)
    return _below(page, dialog)


def _below(page: Page, dialog: QDialog) -> Page:
    dialog.setWindowFlags(Qt.WindowType.Widget)
    below = page.layout()
    if below is None:
        raise ValueError("the page has no layout")
    below.addWidget(dialog)
    return page


def _bad_key() -> PersonaDeskError:
    facts = catalog.facts("runpod")
    return faults.bad_key(facts, "RunPod", faults.Problem(401, "unauthorized", "Invalid API key"))


def _weak() -> AccountState:
    info = replace(
        samples.INFO,
        rights=frozenset({Right.SEE}),
        missing=(T("It may not rent or end pods: give it “Read/Write” for the REST API."),),
        balance=0.0,
    )
    return connected(
        samples.PODS, info=info, kept=(Kept(T("API key"), Place.VARIABLE, "RUNPOD_API_KEY"),)
    )


def _studio_info() -> AccountInfo:
    return replace(
        samples.INFO, balance=None, spend_per_hour=None, who="",
        balance_reason=T("Lambda has no API that tells it."),
    )  # fmt: skip


_TEAM = replace(samples.STUDIO, name="Team")
_ALL = (samples.MARKET, samples.PODS, samples.STUDIO)
RENTED_SCENES: dict[str, Callable[[], Page]] = {
    "instances": lambda: _instances(samples.VIEW, *_ALL, chosen=samples.FRONT_DESK.key),
    "instances-trouble": lambda: _instances(samples.TROUBLED, *_ALL),
    "instances-held": lambda: _instances(samples.HELD, *_ALL, chosen=samples.FAILED.key),
    "instances-many": lambda: _instances(samples.many(1000), *_ALL),
    "instances-empty": lambda: _instances(FleetView()),
    "accounts-lambda": lambda: _accounts(
        connected(samples.STUDIO, info=_studio_info()),
        connected(samples.MARKET),
        connected(samples.PODS),
    ),
    "accounts-two": lambda: _accounts(
        connected(samples.STUDIO), connected(_TEAM), provider="lambda"
    ),
    "accounts-new": lambda: _accounts(provider="runpod"),
    "accounts-google": lambda: _accounts(provider="google"),
    "accounts-bad-key": lambda: _asked_key(_bad_key()),
    "accounts-weak": lambda: _accounts(_weak(), provider="runpod"),
    "accounts-failed": lambda: _accounts(
        connected(samples.PODS, error=_bad_key()), provider="runpod"
    ),
    "accounts-no-keyring": lambda: _asked_key(no_keyring("no backend")),
    "accounts-passphrase": _no_file,
    "accounts-locked": lambda: _accounts(
        connected(samples.STUDIO, error=locked()), provider="lambda", locked=True
    ),
    "accounts-disconnect": _disconnect,
    "accounts-compare": _compare,
    "instances-none": lambda: _instances(FleetView(), *_ALL),
}
