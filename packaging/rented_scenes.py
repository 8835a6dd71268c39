"""Pages of accounts, offers and rented machines in their states, made of sample data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import rented_samples as samples
from monitor_scenes import graphs_watch
from personadesk.deploy.rented.fleet import FleetView
from personadesk.ui.instances.page import InstancesPage
from personadesk.ui.rented.model import AccountState, Rented

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.account import Account
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


def rented_of(view: FleetView, *accounts: Account) -> Rented:
    """Return what the window knows, with these machines and accounts."""
    rented = Rented(_never, clock=lambda: samples.NOW)
    rented._fleet = _StillFleet(view)  # type: ignore[assignment] # what pictures need of one
    rented._accounts = {each.name: AccountState(each, samples.INFO) for each in accounts}
    rented.costs = tuple(samples.COSTS)
    rented.loaded = True
    return rented


def _instances(view: FleetView, *accounts: Account, chosen: str = "") -> Page:
    rented = rented_of(view, *accounts)
    importlib.import_module("pyqtgraph")  # a picture waits for no thread
    watch = graphs_watch(samples.FRONT_DESK.tag)
    page = InstancesPage(rented, watch)
    rented.setParent(page)
    watch.setParent(page)
    if chosen:
        page.choose(chosen)
    return page


_ALL = (samples.MARKET, samples.PODS, samples.STUDIO)
RENTED_SCENES: dict[str, Callable[[], Page]] = {
    "instances": lambda: _instances(samples.VIEW, *_ALL, chosen=samples.FRONT_DESK.key),
    "instances-trouble": lambda: _instances(samples.TROUBLED, *_ALL),
    "instances-many": lambda: _instances(samples.many(1000), *_ALL),
    "instances-empty": lambda: _instances(FleetView()),
    "instances-none": lambda: _instances(FleetView(), *_ALL),
}
