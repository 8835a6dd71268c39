"""The voice model as an engine: many callers, one batched tick.

Callers keep the row they were given, wherever its state lies (`parts`). A row whose frame is late sits the tick out
and keeps its state.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from personaplex_server.engines.base import EngineError, FrameOut, NoModelError, Persona, Sampling
from personaplex_server.engines.devices import (
    held_bytes,
    is_out_of_memory,
    pick_device,
    pick_dtype,
)
from personaplex_server.engines.parts import Parts, Row
from personaplex_server.engines.prompts import Prompts
from personaplex_server.kernels.machine import described
from personaplex_server.model.codec import Codec
from personaplex_server.model.config import FRAME_SAMPLES, CheckpointError, load_config
from personaplex_server.model.foreign import open_weights, weight_bytes
from personaplex_server.model.graph import CudaRecorder, Recorder, recorded
from personaplex_server.model.lm import Lm, Snapshot
from personaplex_server.model.prompt import build_prompt, wrap
from personaplex_server.model.quant import Quant
from personaplex_server.model.sampling import RowSampler
from personaplex_server.model.text import TextStream, Tokenizer
from personaplex_server.model.voices import VoiceError, VoiceLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from personaplex_server.model.config import ModelConfig

log = logging.getLogger(__name__)


class PersonaPlexEngine:
    """PersonaPlex on this machine; made by `load`.

    Attributes:
        name: "personaplex".
        rows: Callers at once.
        config: Sizes of the loaded model.
        renew: Keep the persona of a call that outlasts the model's memory; the reference lets it fade.
        stage_s: How long the parts of the last tick took; empty where ticks are replayed in one piece.
    """

    name: str = "personaplex"

    def __init__(
        self,
        config: ModelConfig,
        lm: Lm,
        codec: Codec,
        tokenizer: Tokenizer,
        library: VoiceLibrary,
        rows: int,
        threads: int = 1,
    ) -> None:
        self.config, self.rows = config, rows
        self.library, self.tokenizer = library, tokenizer
        self._lm, self._device = lm, lm.device
        self._prompts = Prompts(lm, codec)
        self._parts = Parts(lm, codec, rows, threads)
        weights = held_bytes(lm, codec)
        self._memory = {
            "weights_bytes": weights,
            "rows_bytes": held_bytes(lm, codec, self._parts.all) - weights,
        }
        self.stage_s: dict[str, float] = {}
        self.renew = True

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        quant: str = "none",
        rows: int = 1,
        voices_dir: Path | None = None,
        threads: int | None = None,
        progress: Callable[[float, str], None] | None = None,
    ) -> PersonaPlexEngine:
        """Load a model folder and run it once, so that the first caller need not wait.

        Args:
            folder: Laid out as the model repository is.
            device: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
            dtype: auto, float32 or bfloat16, of the language model; auto is bfloat16 on a GPU only. The codec is
                always float32.
            quant: none, or int8 to keep the language model's matrices in 8 bits.
            rows: Callers at once.
            voices_dir: One more folder of voices.
            threads: CPU threads of torch; None leaves torch's own choice.
            progress: Called now and then with 0..1 and what is being done.

        Raises:
            EngineError: The folder, the device or a number cannot be used; the text says why.
        """
        if rows < 1:
            raise EngineError("An engine needs at least one row.")
        if threads is not None:
            if threads < 1:
                raise EngineError("An engine needs at least one CPU thread.")
            torch.set_num_threads(threads)
        folder = Path(folder)
        if not folder.is_dir():
            raise NoModelError(f"The model folder {folder} does not exist; get the model first.")
        where = pick_device(device)
        kind = pick_dtype(dtype, where)
        try:
            matrices = Quant(quant)
        except ValueError:
            raise EngineError(f"There is no quantisation {quant!r}; choose none or int8.") from None
        started = time.monotonic()
        report = progress or (lambda share, doing: None)
        report(0.0, "reading the weights")
        try:
            config = load_config(folder)
            total = sum(weight_bytes(folder))
            done = 0

            def on_bytes(count: int) -> None:
                nonlocal done
                done += count
                report(min(0.95, 0.95 * done / max(total, 1)), "reading the weights")

            with torch.inference_mode():
                tokenizer = Tokenizer(folder, config.lm.text_card)
                lm_file, codec_file = open_weights(folder, config, where, kind, on_bytes)
                codec = Codec(codec_file, config.codec, config.lm.own_codebooks)
                lm = Lm(lm_file, config.lm, matrices)
                library = VoiceLibrary(folder, voices_dir)
                threads = torch.get_num_threads()
                engine = cls(config, lm, codec, tokenizer, library, rows, threads)
                report(0.95, "warming up")
                engine._warm_up()
                if where.type == "cuda":
                    report(0.97, "recording graphs")
                    engine.record(CudaRecorder(where))
        except CheckpointError as error:
            raise NoModelError(str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise EngineError(
                f"The model does not fit into the memory of {where.type}; choose a larger machine, or fewer "
                "rows."
            ) from error
        report(1.0, "ready")
        log.info("model of %s ready on %s after %.1f s", folder, where, time.monotonic() - started)
        return engine

    def voices(self) -> list[str]:
        """Return the names a persona may use, sorted."""
        return self.library.names()

    def describe(self) -> dict[str, object]:
        """Return facts for the status page."""
        lm = self.config.lm
        return {
            "engine": self.name,
            "model": "rehearsal" if self.config.rehearsal else "personaplex",
            "rehearsal": self.config.rehearsal,
            "device": str(self._device),
            "dtype": str(self._lm.dtype).removeprefix("torch."),
            "quant": str(self._lm.quant),
            "kernels": described() if self._device.type == "cpu" else "torch",
            "threads": torch.get_num_threads(),
            "rows": self.rows,
            "exact": self._parts.all[0].model.exact,
            "parts": len(self._parts.all),
            "graphs": all(part.replays is not None for part in self._parts.all),
            "dim": lm.dim,
            "layers": lm.num_layers,
            "context": lm.context,
            "voice": self.library.default(),
        }

    def open(
        self, row: int, persona: Persona, progress: Callable[[float], None] | None = None
    ) -> None:
        """Reset `row` and fill it with the persona's prompt; ready for the first tick on return.

        Args:
            row: A free row, 0 to rows-1.
            persona: Who answers.
            progress: Called with 0..1 now and then.

        Raises:
            EngineError: The voice is unknown or unusable, a sampling value is out of range, or the row is taken.
        """
        for share in self.opening(row, persona):
            if progress is not None:
                progress(share)

    def opening(self, row: int, persona: Persona) -> Iterator[float]:
        """Do the work of `open` in short pieces, so that other rows can tick between them.

        Yields:
            The share done, 0 to 1. The row is ready when the iterator ends, and free if it is dropped before.

        Raises:
            EngineError: As `open`.
        """
        try:
            voice = self.library.find(persona.voice)
        except VoiceError as error:
            raise EngineError(str(error)) from error
        yield from self.opening_with(row, voice, persona.text, persona.sampling)

    def opening_with(
        self, row: int, voice: Path | None, text: str, sampling: Sampling
    ) -> Iterator[float]:
        """As `opening`, with the voice given as a file, or none at all.

        Only for files that the person at this computer named: a path from a caller never comes here.

        Raises:
            EngineError: As `open`.
        """
        if not 0 <= row < self.rows:
            raise EngineError(f"There is no row {row}; this engine has {self.rows}.")
        if row in self._parts:
            raise EngineError(f"Row {row} is in use; close it first.")
        lm = self.config.lm
        try:
            sampler = RowSampler(
                (sampling.text_temperature, sampling.text_top_k),
                (sampling.audio_temperature, sampling.audio_top_k),
                text_card=lm.text_card,
                card=lm.card,
                codebooks=lm.own_codebooks,
                seed=sampling.seed,
            )
        except ValueError as error:
            raise EngineError(str(error)) from error
        tokens = self.tokenizer.encode(wrap(text)) if text.strip() else []
        snapshot: Snapshot | None = None
        work = self._prompts.fill(voice, tokens)
        while snapshot is None:
            # Entered anew for each piece: the mode must not stay on while a caller holds the iterator.
            with torch.inference_mode():
                piece = next(work)
            if isinstance(piece, Snapshot):
                snapshot = piece
            else:
                yield piece
        if row in self._parts:
            raise EngineError(f"Row {row} was taken while its prompt was prepared.")
        facts = Row(
            sampler,
            TextStream(self.tokenizer),
            snapshot.calls,
            max(snapshot.calls, 1) + lm.max_delay,
            snapshot,
        )
        with torch.inference_mode():
            self._parts.begin(row, facts)
        yield 1.0

    def tick(self, frames: Mapping[int, NDArray[np.float32]]) -> dict[int, FrameOut]:
        """Give each named row one frame (float32 [1920], 24 kHz) and return each one's answer.

        Raises:
            EngineError: A row is not open, or a frame has another shape.
        """
        if not frames:
            return {}
        for row, frame in frames.items():
            if row not in self._parts:
                raise EngineError(f"Row {row} is not open.")
            if frame.shape != (FRAME_SAMPLES,):
                raise EngineError(f"A frame has {FRAME_SAMPLES} samples, not {frame.shape}.")
        answers = self._parts.tick(frames, renew=self.renew)
        self.stage_s = self._parts.stage_s()
        return answers

    def age(self, row: int) -> None:
        """Put an open row so far into its call that its memory is full: what a tick costs at most, for measuring.

        What it remembers is nonsense then; close it before anybody is seated there.
        """
        with torch.inference_mode():
            self._parts[row].age(row)

    def close(self, row: int) -> None:
        """Free `row`; a row that is not open stays so."""
        if row in self._parts:
            with torch.inference_mode():
                self._parts[row].close(row)

    @property
    def renewals(self) -> int:
        """Return how often a row's memory was renewed in a long call."""
        return sum(part.renewals for part in self._parts.all)

    def figures(self) -> dict[str, float]:
        """Return figures for the metrics."""
        return {
            "prompts_kept": len(self._prompts.kept),
            "prompts_bytes": self._prompts.bytes,
            "prompts_hits": self._prompts.hits,
            "prompts_misses": self._prompts.misses,
            "renewals": self.renewals,
            **self._memory,
        }

    def record(self, recorder: Recorder) -> None:
        """Record ticks, to replay them from now on; only while no row is open."""
        start = list(self._lm.prefill(build_prompt(self.config.lm, None, [])))[-1]
        if isinstance(start, Snapshot):
            for part in self._parts.all:
                part.replays = recorded(part.model, recorder, start)

    def _warm_up(self) -> None:
        """Run two frames, so that kernels are chosen before anybody waits."""
        for _ in self.opening_with(0, None, "", Sampling()):
            pass
        for _ in range(self.config.lm.max_delay + 2):
            self.tick({0: np.zeros(FRAME_SAMPLES, np.float32)})
        self.close(0)
