"""What happened to a machine or a voice, to be drawn as marks on its graphs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personadesk.domain.text import Text


class EventKind(StrEnum):
    """What happened."""

    DEPLOYED = "deployed"
    RESTARTED = "restarted"
    GPU_LOST = "gpu_lost"
    ADDRESS_CHANGED = "address_changed"
    FAILED_OVER = "failed_over"
    ALARM_ON = "alarm_on"
    ALARM_OFF = "alarm_off"


@dataclass(frozen=True, slots=True)
class Event:
    """One of them.

    Attributes:
        at: Unix time in seconds.
        host: The machine as the monitor calls it.
        kind: What happened.
        text: One sentence.
    """

    at: float
    host: str
    kind: EventKind
    text: Text
