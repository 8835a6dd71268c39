"""What the wizard's rules ask of this computer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import NOTHING, Text
from personadesk.store import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.line import Line
    from personadesk.domain.plan import ModelKind
    from personadesk.ui.rented.model import Rented
    from personadesk.ui.servers.model import Machines

__all__ = ["LocalWorld"]


class LocalWorld:
    """This computer, as `flow.World` wants it; each answer takes a millisecond or so."""

    def __init__(
        self, lines: Callable[[], Sequence[Line]], machines: Machines, rented: Rented
    ) -> None:
        self._lines = lines
        self._machines = machines
        self._rented = rented

    def lines(self) -> Sequence[Line]:
        """Return the lines that exist."""
        return self._lines()

    def port_is_free(self, port: int) -> bool:
        """Whether a server can listen there."""
        from personadesk.hosts import local  # not before the window shows

        return local.port_is_free(port)

    def folder_fault(self, folder: str) -> Text:
        """Return why a folder cannot be used as a model, or nothing."""
        from personadesk.deploy import model_folder  # not before the window shows

        try:
            model_folder.check(Path(folder).expanduser())
        except PersonaDeskError as error:
            return error.what
        return NOTHING

    def machine_fault(self, name: str, model: ModelKind) -> Text:
        """Return why a voice with this model cannot be put on a machine, or nothing."""
        return self._machines.fault(name, model)

    def has_account(self) -> bool:
        """Whether an account at a provider is connected."""
        return bool(self._rented.accounts)

    def rehearses(self) -> bool:
        """Whether all this is a rehearsal with pretend providers."""
        return paths.rehearsing()
