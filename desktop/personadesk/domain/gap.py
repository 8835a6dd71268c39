"""A time in which a source told nothing, and why; so that a hole in a graph can say what it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Source

if TYPE_CHECKING:
    from personadesk.domain.sample import Metric, Sample
    from personadesk.domain.text import Text

GPU_FIGURES = "gpu."
"""How the names of all figures of GPUs begin."""
_TELLERS = {"server": {Source.SERVER}, "voice": {Source.VOICE}, "money": {Source.PROVIDER}}
"""Who alone tells figures whose names begin so; others are told by several."""
_OTHERS = {Source.HOST, Source.SERVER, Source.PROVIDER}


@dataclass(frozen=True, slots=True)
class Gap:
    """One of them.

    Attributes:
        start: Unix time of the first sample without figures.
        end: Unix time at which figures came again, None while they do not.
        host: The machine as the monitor calls it.
        source: Who told nothing.
        origin: Which of several of that source, as in the history's groups.
        figures: How the names of the figures begin that were missing; "" for all of that source.
        reason: One sentence.
    """

    start: float
    end: float | None
    host: str
    source: str
    origin: str
    figures: str
    reason: Text

    def explains(self, metric: Metric, at: float) -> bool:
        """Whether it is why a figure is missing at a Unix time."""
        if not self.start <= at or (self.end is not None and at >= self.end):
            return False
        tellers = _TELLERS.get(metric.partition(".")[0], _OTHERS)
        return self.source in tellers and metric.startswith(self.figures)


def missing(sample: Sample) -> dict[str, Text]:
    """Return why figures are missing in a sample: of all ("" as the key), or of all GPUs; empty when some are known."""
    first: Text | None = None
    first_gpu: Text | None = None
    known = False
    for each in sample.readings:
        of_gpu = each.metric.startswith(GPU_FIGURES)
        if isinstance(each.value, Absent):
            first = first or each.value.reason
            first_gpu = first_gpu or (each.value.reason if of_gpu else None)
        elif of_gpu:
            return {}
        else:
            known = True
    if not known:
        reason = first or sample.gpu_reason
        return {"": reason} if reason else {}
    return {GPU_FIGURES: first_gpu} if first_gpu is not None else {}
