"""Opens a rehearsal in a window of its own: another PersonaDesk with folders of its own, so that nothing mixes."""

from __future__ import annotations

import os
import sys

from personadesk.domain.text import T
from personadesk.store import paths
from personadesk.ui.messages import Message, Severity, bus

__all__ = ["open_rehearsal"]


def open_rehearsal() -> None:
    """Start it; where it is open already, its window comes forward."""
    from personadesk.hosts import detached  # not needed for the first paint

    state = paths.folders().state
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        detached.spawn(
            [sys.executable, "-P", "-m", "personadesk", "--rehearsal"],
            folder=state, errors=state / "rehearsal-window.err", environment=os.environ,
        )  # fmt: skip
    except OSError as error:
        bus().post(
            Message(
                Severity.ERROR,
                T("The rehearsal could not be opened."),
                T("Open it from a terminal: personadesk --rehearsal"),
                details=str(error),
            )
        )
