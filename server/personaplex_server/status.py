"""How far an engine is, what its scheduler tells of it, and why a seat cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from personaplex_server.engines.base import EngineError


class State(StrEnum):
    """How far an engine is."""

    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    FAILED = "failed"
    STOPPED = "stopped"


class UnavailableError(Exception):
    """No seat can be had; the text is a sentence for the caller.

    Attributes:
        later: It may work when tried again soon: loading or busy, not failed.
    """

    def __init__(self, reason: str, *, later: bool) -> None:
        super().__init__(reason)
        self.later = later


class BrokenEngineError(EngineError):
    """The engine failed where it should not have; the text is a sentence for the caller."""


@dataclass(frozen=True, slots=True)
class Status:
    """What an engine is doing now.

    Attributes:
        state: How far it is.
        progress: 0..1 of loading.
        stage: What loading is at, in words.
        reason: Why it failed, else None.
        cause: What kind of trouble that is, for programs: "model" where the model folder cannot be used, "hangs"
            where the model stands still, else None.
        facts: What the engine says of itself.
        slots: Rows; 0 until it is loaded.
        free: Rows nobody sits in.
        served: Callers seated so far.
        dropped: Frames of callers passed over so far.
        tick_p50_ms: Median time of the last minute's ticks, None without any.
        tick_p99_ms: The same at 99 %.
    """

    state: State
    progress: float
    stage: str
    reason: str | None
    cause: str | None
    facts: dict[str, object]
    slots: int
    free: int
    served: int
    dropped: int
    tick_p50_ms: float | None
    tick_p99_ms: float | None
