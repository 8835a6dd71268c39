"""What a pretend machine is made of, as its cloud sees it; and machines that are made of nothing, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from personadesk.rehearsal.things import Machine


class Bodies(Protocol):
    """What machines are made of. Calls may take a while, and come from several threads."""

    def place(self, machine: Machine, number: int) -> tuple[str, int]:
        """Return address and SSH port for a machine; another `number` gives another address where that is possible."""

    def boot(self, machine: Machine) -> None:
        """Let it run: its disk is there, its sshd answers at `machine.host`, `machine.port` with `machine.keys`."""

    def halt(self, machine: Machine) -> None:
        """Kill all that runs in it; its disk stays."""

    def destroy(self, machine: Machine) -> None:
        """Kill all that runs in it and remove its disk to the last byte."""

    def lose_gpu(self, machine: Machine) -> None:
        """Let its GPU vanish while it runs."""

    def wish(self, machine: Machine) -> str:
        """Return what was asked for from within and not answered yet: `off`, `reboot` or "" for nothing."""


class NoBodies:
    """Machines of which only the API's word exists."""

    def place(self, machine: Machine, number: int) -> tuple[str, int]:
        """Return an address out of 127.64.0.0/10 that is the number's alone."""
        return f"127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", 22

    def boot(self, machine: Machine) -> None:
        """Nothing is there to run."""

    def halt(self, machine: Machine) -> None:
        """Nothing runs."""

    def destroy(self, machine: Machine) -> None:
        """Nothing is there."""

    def lose_gpu(self, machine: Machine) -> None:
        """Nothing is there."""

    def wish(self, machine: Machine) -> str:
        """Nobody is there to ask."""
        return ""
