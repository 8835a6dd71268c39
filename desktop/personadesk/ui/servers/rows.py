"""One machine in a list to choose from: name, address, GPU, when it was checked, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from personadesk.ui.deploy.form import OptionCard
from personadesk.ui.i18n import tr
from personadesk.ui.servers import words
from personadesk.ui.widgets import Pill

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.servers.model import Machine

__all__ = ["MachineRow"]


class MachineRow(OptionCard):
    """A row; of all rows in one parent one is chosen."""

    def __init__(
        self, machine: Machine, now: float, *, brief: bool = False, parent: QWidget | None = None
    ) -> None:
        """Make the row.

        Args:
            machine: What it shows.
            now: Unix time.
            brief: Whether it leaves out when the machine was checked.
        """
        super().__init__(machine.name, words.address(machine.record), parent=parent)
        self.name = machine.name
        self._brief = brief
        self._state = Pill("")
        self.add_beside(self._state, Qt.AlignmentFlag.AlignVCenter)
        self.show_machine(machine, now)

    def show_machine(self, machine: Machine, now: float) -> None:
        """Show how it stands now; `now` is Unix time."""
        shape, word = words.state(machine)
        self._state.set_state(word, shape)
        parts = [words.address(machine.record)]
        if machine.check is not None:
            parts.append(words.gpu(machine.check.facts) or tr("no NVIDIA GPU"))
        if machine.checked and not machine.looking and not self._brief:
            parts.append(tr("checked {age}", age=words.age(machine.checked, now)))
        told = " · ".join(parts)
        self.set_text(told)
        self.setAccessibleName(f"{machine.name}, {word}, {told}")
