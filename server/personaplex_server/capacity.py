"""How many calls this machine can hold at once: as many as fit into memory and are ticked in time, found out at start.

A guess by the card's name would be wrong on a shared or throttled machine; a few ticks tell.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from personaplex_server import gpu
from personaplex_server.engines.base import Persona
from personaplex_server.logs import fields
from personaplex_server.protocol import FRAME_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from personaplex_server.engines.base import Engine

log = logging.getLogger(__name__)

MOST_ROWS: Final = {"cuda": 32, "cpu": 64}
"""Rows worth trying; each takes memory whether it is used or not."""
TICK_LIMIT_S: Final = 0.065
"""Longest tick at which seats are given, with every caller's memory full. A frame lasts 80 ms; 10 ms are kept free, and
5 for ticks that take longer than those that were measured."""
CALL_S: Final = 0.0005
"""What of that is left for each call's Opus and socket, which share the processors."""
_STEPS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
_TICKS: Final = 12
_QUANTILE: Final = 0.9
_ROW_EXTRA_BYTES: Final = 64 << 20
"""A row's codec state and its part of what a tick computes with."""
_SPARE_BYTES: Final = {"cuda": 2 << 30, "cpu": 512 << 20}


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was found.

    Attributes:
        seats: Calls to hold at once.
        tick_ms: Time of a tick by the number of rows in it, as far as it was measured.
    """

    seats: int
    tick_ms: dict[int, float]

    def facts(self) -> dict[str, Any]:
        """Return it as the status route tells it."""
        return {
            "seats": self.seats,
            "limit_ms": round(_limit_s(self.seats) * 1000, 1),
            "tick_ms": {str(rows): round(took, 1) for rows, took in self.tick_ms.items()},
        }


def measure(engine: Engine, clock: Callable[[], float] = time.monotonic) -> Capacity:
    """Tick an idle engine with more and more rows until that takes too long; all rows are free again after it.

    Args:
        engine: In the thread that drives it.
        clock: Seconds, monotonic.
    """
    found: dict[int, float] = {}
    seats = 1
    steps = [step for step in _STEPS if step < engine.rows] + [engine.rows]
    for rows in steps:
        found[rows] = _tick_s(engine, rows, clock) * 1000
        if found[rows] > _limit_s(rows) * 1000:
            break
        seats = rows
    if found[1] > _limit_s(1) * 1000:
        log.warning("one call alone is nearly too much for this machine %s", fields(ms=found[1]))
    log.info("capacity measured %s", fields(seats=seats, rows=engine.rows, tick_ms=found[seats]))
    return Capacity(seats, found)


def _limit_s(rows: int) -> float:
    return TICK_LIMIT_S - CALL_S * rows


def _tick_s(engine: Engine, rows: int, clock: Callable[[], float]) -> float:
    silence = np.zeros(FRAME_SAMPLES, np.float32)
    age: Callable[[int], None] | None = getattr(engine, "age", None)
    took = []
    opened = 0
    try:
        for row in range(rows):
            for _ in engine.opening(row, Persona()):
                pass
            opened += 1
            if age is not None:
                age(row)
        for _ in range(_TICKS):
            began = clock()
            engine.tick(dict.fromkeys(range(rows), silence))
            took.append(clock() - began)
    finally:
        for row in range(opened):
            engine.close(row)
    # The first tick at a new size chooses its kernels.
    return sorted(took[1:])[round(_QUANTILE * (_TICKS - 2))]


def rows_that_fit(folder: Path, device: str, dtype: str) -> int:
    """Return how many rows fit into the free memory beside the model, at least 1.

    Args:
        folder: The model.
        device: As on the command line: auto, cpu or cuda.
        dtype: The same: auto, bfloat16 or float32.

    Raises:
        personaplex_server.model.config.CheckpointError: The folder cannot be used.
    """
    import torch

    from personaplex_server.model.config import load_config
    from personaplex_server.model.foreign import weight_bytes

    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    kind = "cuda" if on_gpu else "cpu"
    if on_gpu:
        free = int(torch.cuda.mem_get_info()[0])
    else:
        told = gpu.readings()["cpu"].get("memory_free_mib")
        if told is None:
            return 1
        free = told << 20
    item = 4 if dtype == "float32" or (dtype == "auto" and not on_gpu) else 2
    lm = load_config(folder).lm
    # The released weights are stored with two bytes each.
    language, codec = weight_bytes(folder)
    weights = language * item // 2 + codec
    row = 2 * lm.num_layers * lm.context * lm.dim * item + _ROW_EXTRA_BYTES
    fit = (free - weights * 11 // 10 - _SPARE_BYTES[kind]) // row
    return max(1, min(MOST_ROWS[kind], fit))
