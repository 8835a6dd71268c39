"""Ticks recorded once and replayed: on a GPU thousands of kernels are then started by one call.

A recording has fixed shapes, so there is one for each number of rows and stretch of memory looked at that is worth
one (`Bucket`); rows that are not in use are masked. Inputs are copied into tensors that stay where they are. Before
anybody calls, replays are compared with the same ticks done eagerly, and not used where they differ.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch import Tensor

from .config import FRAME_SAMPLES
from .sampling import Draw, RowSampler
from .tick import Asked, Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .lm import Snapshot
    from .tick import Tick

log = logging.getLogger(__name__)

ROWS: Final = (1, 2, 4, 8, 16, 32)
PREFIXES: Final = (512, 1024, 2048)
"""Slots of the language model's ring; the whole ring comes on top."""
TEXT_K: Final = 32
AUDIO_K: Final = 256
"""Largest top-k that a recording can draw with; a caller who wants more is served without one."""
CHECK_TICKS: Final = 20
_CLOSE: Final = 1e-3
"""Difference of samples, as a share of the loudest, up to which a replay is right."""


class Recorder(Protocol):
    """What records work on tensors."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return what does `work` again, with whatever its tensors hold by then."""


class CudaRecorder:
    """Records CUDA graphs, all in one pool of memory.

    Args:
        device: Which GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return the replay of `work`, which is done twice before: libraries set themselves up at first use."""
        stream: Any = torch.cuda.Stream  # it carries no types
        side = stream(self._device)
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(2):
                work()
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            work()
        return graph.replay


@dataclass(frozen=True, slots=True)
class Bucket:
    """Shapes of one recording.

    Attributes:
        rows: Rows that take part.
        prefix: Slots of the language model's ring that are looked at.
    """

    rows: int
    prefix: int


class _Inputs:
    """Tensors that every recording reads; shapes begin with [rows]."""

    def __init__(self, tick: Tick) -> None:
        config, device, rows = tick.lm.config, tick.lm.device, tick.rows
        books = config.own_codebooks
        self.pcm = torch.zeros(rows, FRAME_SAMPLES, device=device)
        # Heard, thinks, speaks; then which rows take the likeliest text and audio.
        self.flags = torch.zeros(5, rows, dtype=torch.bool, device=device)
        self.scales = torch.ones(2, rows, 1, device=device)
        self.last = torch.zeros(2, rows, 1, dtype=torch.int64, device=device)
        self.spins = torch.zeros(rows, 1 + books, 2, device=device)
        self.most = (min(TEXT_K, config.text_card), min(AUDIO_K, config.card))

    def fill(
        self,
        pcm: Tensor,
        masks: Sequence[Sequence[bool]],
        samplers: Sequence[RowSampler],
        rows: int,
    ) -> None:
        """Copy in one tick's inputs, for the rows in use; the others, up to `rows`, are masked."""
        spare = [False] * (rows - len(samplers))
        few = list(samplers)
        flags = [[*mask, *spare] for mask in masks]
        flags.append([s.text_temperature == 0 for s in few] + spare)
        flags.append([s.audio_temperature == 0 for s in few] + spare)
        count = len(few)
        self.pcm[:count].copy_(pcm, non_blocking=True)
        self.flags[:, :rows].copy_(torch.tensor(flags), non_blocking=True)
        scales = [
            [1 / (s.text_temperature or 1.0) for s in few],
            [1 / (s.audio_temperature or 1.0) for s in few],
        ]
        self.scales[:, :count, 0].copy_(torch.tensor(scales), non_blocking=True)
        last = [[s.text_k - 1 for s in few], [s.audio_k - 1 for s in few]]
        # A row that takes the likeliest has no use for its top-k, however large.
        self.last[:, :count, 0].copy_(torch.tensor(last), non_blocking=True)
        for index, most in enumerate(self.most):
            self.last[index, :count].clamp_(max=most - 1)
        spins = [s.spins(advance=on) for s, on in zip(few, masks[1], strict=True)]
        self.spins[:count].copy_(torch.stack(spins), non_blocking=True)

    def asked(self, rows: int) -> Asked:
        """Return what a tick of the first `rows` rows is given: views that stay where they are."""
        flags, scales, last = self.flags[:, :rows], self.scales[:, :rows], self.last[:, :rows]
        spins = self.spins[:rows]
        text = Draw(scales[0], last[0], spins[:, 0], flags[3], self.most[0])
        audio = Draw(scales[1], last[1], spins[:, 1:], flags[4], self.most[1])
        return Asked(self.pcm[:rows], flags[0], flags[1], flags[2], text, audio)


class Replays:
    """Recordings of a model's ticks.

    Args:
        tick: The model with its memory.
        recorder: What records.
    """

    def __init__(self, tick: Tick, recorder: Recorder) -> None:
        self._tick, self._recorder = tick, recorder
        self._inputs = _Inputs(tick)
        config, device = tick.lm.config, tick.lm.device
        own = 1 + config.own_codebooks
        self._tokens = torch.zeros(tick.rows, own, dtype=torch.int64, device=device)
        self._pcm = torch.zeros(tick.rows, FRAME_SAMPLES, device=device)
        window = tick.lm.window
        self._rows = [*(each for each in ROWS if each < tick.rows), tick.rows]
        self._prefixes = [*(each for each in PREFIXES if each < window), window]
        self._replays: dict[Bucket, Callable[[], None]] = {}

    @property
    def buckets(self) -> list[Bucket]:
        """The shapes that are recorded."""
        return [Bucket(rows, prefix) for rows in self._rows for prefix in self._prefixes]

    def bucket(self, rows: int, furthest: int) -> Bucket:
        """Return the smallest shape for so many rows, of which none is further than call `furthest`."""
        needed = min(furthest, self._tick.lm.window)
        return Bucket(
            next(each for each in self._rows if each >= rows),
            next(each for each in self._prefixes if each >= needed),
        )

    def cover(self, samplers: Sequence[RowSampler]) -> bool:
        """Whether these rows can be served: none draws from more than a recording does."""
        text, audio = self._inputs.most
        return all(
            (s.text_k <= text or s.text_temperature == 0)
            and (s.audio_k <= audio or s.audio_temperature == 0)
            for s in samplers
        )

    def record(self) -> None:
        """Record every shape; all rows are masked meanwhile, so that no caller notices."""
        self._inputs.flags.zero_()
        for bucket in self.buckets:
            self._replays[bucket] = self._recorder.record(partial(self._work, bucket))

    def _work(self, bucket: Bucket) -> None:
        """Do one tick, from and to tensors that stay where they are."""
        tick, rows = self._tick, bucket.rows
        sight = Sight(
            hearing=tick.hearing.attention.window,
            thinking=bucket.prefix,
            speaking=tick.speaking.attention.window,
            full=False,
            forcing=True,
        )
        tokens, pcm = tick(self._inputs.asked(rows), sight)
        self._tokens[:rows].copy_(tokens)
        self._pcm[:rows].copy_(pcm)

    def __call__(
        self,
        pcm: Tensor,
        masks: Sequence[Sequence[bool]],
        samplers: Sequence[RowSampler],
        furthest: int,
    ) -> tuple[Tensor, Tensor]:
        """Replay a tick.

        Args:
            pcm: float32 [rows, 1920].
            masks: Which rows are heard, think and speak.
            samplers: How each row draws.
            furthest: The largest call among the rows.

        Returns:
            As `Tick`, for the rows given; overwritten by the next tick.
        """
        bucket = self.bucket(len(samplers), furthest)
        self._inputs.fill(pcm, masks, samplers, bucket.rows)
        self._replays[bucket]()
        return self._tokens[: len(samplers)], self._pcm[: len(samplers)]

    def differs(self, start: Snapshot, ticks: int = CHECK_TICKS) -> str | None:
        """Compare replays with the same ticks done eagerly, from the same start; only while no row is in use.

        Args:
            start: A prompt that leaves room for the ticks.
            ticks: How many, for each number of rows; they take turns in how far back they look.

        Returns:
            What differs, in words; None where nothing does.
        """
        for rows in self._rows:
            least = self.bucket(rows, start.calls + ticks).prefix
            prefixes = [each for each in self._prefixes if each >= least]
            shapes = [Bucket(rows, prefixes[index % len(prefixes)]) for index in range(ticks)]
            eager = self._trial(shapes, start, self._work)
            again = self._trial(shapes, start, lambda bucket: self._replays[bucket]())
            for index, (one, other) in enumerate(zip(eager, again, strict=True)):
                if not torch.equal(one[0], other[0]):
                    return f"tokens of tick {index} with {shapes[index]}"
                if (one[1] - other[1]).abs().max() > _CLOSE * max(
                    float(one[1].abs().max()), _CLOSE
                ):
                    return f"sound of tick {index} with {shapes[index]}"
        return None

    def _trial(
        self, shapes: Sequence[Bucket], start: Snapshot, work: Callable[[Bucket], None]
    ) -> list[tuple[Tensor, Tensor]]:
        config = self._tick.lm.config
        rows, got = shapes[0].rows, []
        for row in range(rows):
            self._tick.begin(row, start)
        samplers = [
            RowSampler(
                (0.7, 25),
                (0.8, 250),
                text_card=config.text_card,
                card=config.card,
                codebooks=config.own_codebooks,
                seed=row,
            )
            for row in range(rows)
        ]
        noise = torch.Generator().manual_seed(1)
        for index, shape in enumerate(shapes):
            # The same for a row in any company.
            pcm = 0.1 * torch.randn(self._tick.rows, FRAME_SAMPLES, generator=noise)[:rows]
            # One row after the other sits a tick out.
            here = [(index + row) % 5 != 1 for row in range(rows)]
            self._inputs.fill(pcm, [here, here, here], samplers, rows)
            work(shape)
            got.append((self._tokens[:rows].clone(), self._pcm[:rows].clone()))
        return got


def recorded(tick: Tick, recorder: Recorder, start: Snapshot) -> Replays | None:
    """Return replays of a model that nobody uses yet; None, with a line in the log, where they cannot be trusted."""
    replays = Replays(tick, recorder)
    try:
        replays.record()
    except RuntimeError as error:
        log.warning("ticks run without graphs: recording failed (%s)", error)
        return None
    difference = replays.differs(start)
    if difference is not None:
        log.warning("ticks run without graphs: replays differ from eager ticks in %s", difference)
        return None
    log.info("%d graphs recorded, and equal to eager ticks", len(replays.buckets))
    return replays
