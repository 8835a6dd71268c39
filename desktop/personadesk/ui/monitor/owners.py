"""Which line a watched machine carries, and whose machine it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.plan import LOCAL
from personadesk.ui.i18n import tr
from personadesk.ui.monitor.fleet import Owner
from personadesk.ui.rented.offer_words import provider_title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.line import Line
    from personadesk.domain.machine import Machine
    from personadesk.monitor.state import HostState
    from personadesk.ui.rented.model import Rented

__all__ = ["Owners"]


class Owners:
    """Tells it of every machine."""

    def __init__(self, rented: Rented, lines: Callable[[], Sequence[Line]]) -> None:
        """Take where it is known.

        Args:
            rented: Rented machines and what they carry.
            lines: Returns the lines.
        """
        self._rented = rented
        self._lines = lines
        self._view: object = None
        self._machines: dict[str, Machine] = {}

    def __call__(self, state: HostState) -> Owner:
        """Return it of one machine."""
        view = self._rented.view
        if self._view is not view:
            self._view = view
            self._machines = {machine.tag: machine for machine in view.machines if machine.tag}
        name, servers = state.target.name, state.target.servers
        line = view.lines.get(name, "")
        for each in () if line or not servers else self._lines():
            if each.target is not None and each.target.server_id in servers:
                line = each.name
        machine = self._machines.get(name)
        if machine is not None:
            return Owner(line, provider_title(machine.provider))
        return Owner(line, tr("This computer") if name == LOCAL else tr("My servers"))
