"""How many calls are held in time, over sockets and with Opus both ways, when everybody's memory is full.

The server runs here as `serve` runs it; its callers have a process of their own (`callers`) and share this
computer's processors with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from personaplex_server import chat, serving, web
from personaplex_server.doorman import Rules
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.codec import Codec
from personaplex_server.model.config import CodecConfig, LmConfig, ModelConfig
from personaplex_server.model.lm import Lm
from personaplex_server.model.pieces import sentencepiece_model
from personaplex_server.model.rehearsal import REHEARSAL, codec_tensors, lm_tensors
from personaplex_server.model.text import Tokenizer
from personaplex_server.model.voices import VoiceLibrary
from personaplex_server.model.weights import TEXT_FILE
from personaplex_server.protocol import FRAME_SECONDS
from personaplex_server.scheduler import Scheduler

from .callers import RAMP_S
from .subjects import CODEC, SIZES, MemoryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from personaplex_server.engines.base import FrameOut, Persona

CODECS: Final = {"tiny": REHEARSAL.codec, "real": CODEC}
STEPS: Final = {"tiny": (16, 32, 48, 64, 80), "real": (1, 2, 4, 6, 8, 12)}
GOALS: Final = {"tiny": 64, "real": 8}
"""What a prototype held in two threads on another computer (AMD Zen 5), without sockets."""
_PIECES: Final = 400
_LOADING_S: Final = 120.0
_ANSWERED: Final = 0.98


class AgedEngine(PersonaPlexEngine):
    """An engine whose callers have all talked for longer than its memory reaches back.

    Attributes:
        took: Seconds of each tick, by the clock given.
        worked: Processor seconds of each tick.
    """

    def __init__(
        self,
        config: ModelConfig,
        folder: Path,
        rows: int,
        threads: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        lm = Lm(MemoryFile(lm_tensors(config.lm, generator, config.lm.own_codebooks)), config.lm)
        codec = Codec(
            MemoryFile(codec_tensors(config.codec, generator)),
            config.codec,
            config.lm.own_codebooks,
        )
        (folder / TEXT_FILE).write_bytes(sentencepiece_model(_PIECES))
        tokenizer = Tokenizer(folder, config.lm.text_card)
        super().__init__(config, lm, codec, tokenizer, VoiceLibrary(folder), rows, threads)
        self.renew = False
        self.took: list[float] = []
        self.worked: list[float] = []
        self._clock = clock

    def opening(self, row: int, persona: Persona) -> Iterator[float]:
        """Open a row, and put it far behind its memory's length."""
        yield from super().opening(row, persona)
        self.age(row)

    def tick(self, frames: Mapping[int, NDArray[np.float32]]) -> dict[int, FrameOut]:
        """Note how long the tick takes."""
        began, worked = self._clock(), time.thread_time()
        answers = super().tick(frames)
        self.took.append(self._clock() - began)
        self.worked.append(time.thread_time() - worked)
        return answers


def config(codec: str) -> ModelConfig:
    """Return the small language model with the codec of a name."""
    lm: LmConfig = SIZES["tiny"]
    sound: CodecConfig = CODECS[codec]
    return ModelConfig(lm=lm, codec=sound, rehearsal=True)


def hold(
    codec: str,
    calls: int,
    seconds: float,
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Hold so many calls for so long.

    Args:
        codec: Which codec.
        calls: How many.
        seconds: How long.
        threads: Of the model.
        clock: Times ticks; `time.thread_time` leaves out what other programs took.

    Returns:
        `tick_p50_ms`, `tick_p99_ms`, `delay_p50_ms` and `delay_p99_ms` (from a frame's sending to its answer),
        `answered` (a share), `dropped` (frames), `processors` (how many the server kept busy, all of it) and
        `sockets_ms`: processor time of sockets and Opus a call and frame, the making of connections included.

    Raises:
        RuntimeError: The callers failed; the text is what they said.
    """
    with tempfile.TemporaryDirectory() as folder:
        engine = AgedEngine(config(codec), Path(folder), calls, threads, clock)

        def build(report: Callable[[float, str], None]) -> PersonaPlexEngine:
            # A thread has its own number; the model's is another than this one.
            torch.set_num_threads(threads)
            return engine

        scheduler = Scheduler("personaplex", build)
        service = web.Service(
            engines={"personaplex": scheduler},
            default="personaplex",
            reception=chat.Reception(chat.Limits()),
        )
        sock = serving.bind("127.0.0.1", 0)
        server = serving.server(web.create_app(service, Rules()), scheduler.stop)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        scheduler.start()
        thread.start()
        began, began_working = time.monotonic(), time.process_time()
        try:
            told = _callers(f"ws://127.0.0.1:{sock.getsockname()[1]}/api/chat", calls, seconds)
            dropped = scheduler.status().dropped
            worked = time.process_time() - began_working
            lasted = time.monotonic() - began
        finally:
            server.should_exit = True
            thread.join()
            scheduler.stop()
            scheduler.join()
            sock.close()
    took = 1000 * np.array(engine.took[round(RAMP_S / FRAME_SECONDS) :] or engine.took)
    said = calls * round((RAMP_S + seconds) / FRAME_SECONDS)
    return told | {
        "sockets_ms": 1000 * (worked - sum(engine.worked)) / said if threads == 1 else -1.0,
        "tick_p50_ms": float(np.quantile(took, 0.5)),
        "tick_p99_ms": float(np.quantile(took, 0.99)),
        "dropped": float(dropped),
        "processors": worked / lasted,
    }


def held(figures: Mapping[str, float], *, alone: bool = True) -> bool:
    """Whether calls with these figures are held in time.

    Args:
        figures: As `hold` returns them.
        alone: Nothing else kept this computer busy. Where something did, ticks were timed by what they worked, and
            frames that were dropped or late tell of the others.
    """
    if figures["tick_p99_ms"] >= 1000 * FRAME_SECONDS:
        return False
    return not alone or (not figures["dropped"] and figures["answered"] > _ANSWERED)


def _callers(url: str, calls: int, seconds: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "personaplex_server.bench.callers", url, str(calls), str(seconds)],
        capture_output=True,
        text=True,
        timeout=_LOADING_S + seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The callers failed: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, float] = json.loads(done.stdout)
    return told
