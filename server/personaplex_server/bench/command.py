"""The `bench` command: our parts against the `moshi` package at equal sizes, in one process and in turns.

A table goes to stderr, and one JSON object, with a ratio for each figure that has a counterpart, is the last line
on stdout. CPU only: no figure for a GPU is claimed.
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from .measure import Timing

FLOORS: Final = {
    "lm_tiny_1": 3.0,
    "lm_tiny_8": 2.6,
    "lm_mid_1": 1.5,
    "lm_mid_8": 3.6,
    "lm_mid_int8_1": 5.0,
    "lm_mid_int8_8": 6.5,
    "codec_1": 4.0,
    "codec_8": 2.3,
    "tick_1": 4.0,
    "tick_8": 2.4,
    "prompt_200_tiny": 500.0,
    "prompt_200_mid": 70.0,
}
"""Ratios that a prototype reached in one thread on another computer (AMD Zen 5), to compare with."""
CACHED_PROMPT_MS: Final = 5.0
PROMPT: Final = 200
GROUPS: Final = ("lm", "codec", "tick", "prompt", "engine", "calls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to `parser`."""
    add = parser.add_argument
    add("--threads", type=int, default=1, metavar="N", help="CPU threads (default: %(default)s)")
    add("--rows", type=int, nargs="+", default=[1, 8], metavar="N", help="calls at a time")
    add("--rounds", type=int, default=3, metavar="N", help="turns of each (default: %(default)s)")
    add("--sizes", nargs="+", choices=("tiny", "mid"), default=["tiny", "mid"])
    add("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="measure only these")
    add(
        "--call-seconds",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long each number of calls is held (default: %(default)s)",
    )
    add("--codecs", nargs="+", choices=("tiny", "real"), default=["tiny", "real"], help="for calls")
    add("--alone", action="store_true", help="without the reference")
    add(
        "--cpu-time",
        action="store_true",
        help="leave out what other programs took; for one thread only",
    )
    add(
        "--reference-dir",
        type=Path,
        default=Path.home() / ".cache" / "personaplex-server" / "bench",
        metavar="DIR",
        help="where the reference is installed (default: %(default)s)",
    )


class _Bench:
    """One run: figures by name, and the table as it grows."""

    def __init__(self, args: argparse.Namespace, folder: Path | None) -> None:
        self.args, self.folder = args, folder
        self.compare = folder is not None
        self.figures: dict[str, dict[str, float | None]] = {}
        self.clock = time.thread_time if args.cpu_time else time.perf_counter

    def note(self, name: str, **figures: float | None) -> None:
        """Keep figures and print them."""
        kept = self.figures.setdefault(name, {})
        kept |= {key: round(v, 3) if v is not None else None for key, v in figures.items()}
        told = "  ".join(f"{k} {v:g}" for k, v in kept.items() if v is not None)
        print(f"{name:18}{told}", file=sys.stderr, flush=True)

    def race(
        self,
        ours: dict[str, Callable[[], object]],
        theirs: dict[str, Callable[[], object]],
    ) -> dict[str, Timing]:
        """Time all in turns; return timings by name."""
        from .measure import interleaved

        return interleaved(theirs | ours, self.args.rounds, clock=self.clock)

    def language(self, size: str, rows: int) -> None:
        """Measure one step of the language model, and its prompt."""
        from personaplex_server.model.quant import Quant

        from . import memory, subjects
        from .measure import ratio

        config = subjects.SIZES[size]
        weights = subjects.lm_weights(config)
        theirs: dict[str, Callable[[], object]] = {}
        if self.compare:
            theirs["moshi"] = subjects.reference_step(config, weights, rows)
        model = subjects.Language(config, weights, rows)
        ours: dict[str, Callable[[], object]] = {"early": model.step, "full": model.full_step}
        if "lm" in self.args.only:
            narrow = subjects.Language(config, weights, rows, Quant.INT8)
            ours["int8"] = narrow.step
        prompt = rows == 1 and "prompt" in self.args.only
        if prompt:
            ours["prompt"] = model.prefill
        timings = self.race(ours, theirs)
        early, full = timings["early"], timings["full"]
        moshi = timings.get("moshi")
        if "lm" in self.args.only:
            self.note(
                f"lm_{size}_{rows}",
                ms=early.ms,
                full_context_ms=full.ms,
                moshi_ms=moshi.ms if moshi else None,
                ratio=ratio(moshi, early) if moshi else None,
                full_context_ratio=ratio(moshi, full) if moshi else None,
            )
            self.note(
                f"lm_{size}_int8_{rows}",
                ms=timings["int8"].ms,
                ratio=ratio(moshi, timings["int8"]) if moshi else None,
            )
            self.note(
                f"memory_{size}_{rows}",
                mb=memory.grown_mb("ours", size, rows, None),
                moshi_mb=memory.grown_mb("moshi", size, rows, self.folder),
            )
        if prompt:
            stepped = PROMPT * moshi.ms if moshi else None
            self.note(
                f"prompt_{PROMPT}_{size}",
                ms=timings["prompt"].ms,
                moshi_stepping_ms=stepped,
                ratio=stepped and stepped / timings["prompt"].ms,
            )

    def sound(self, rows: int) -> None:
        """Measure the codec at the released size, and a whole tick with the tiny language model."""
        from . import subjects
        from .measure import Timing, ratio

        weights = subjects.codec_weights()
        ours_codec = subjects.Sound(weights, rows)
        ours: dict[str, Callable[[], object]] = {
            "encode": ours_codec.encode,
            "decode": ours_codec.decode,
        }
        theirs: dict[str, Callable[[], object]] = {}
        if self.compare:
            encode, decode = subjects.reference_codec(weights, rows)
            theirs = {"moshi encode": encode, "moshi decode": decode}
        if "tick" in self.args.only:
            tiny = subjects.SIZES["tiny"]
            lm_weights = subjects.lm_weights(tiny)
            model = subjects.Language(tiny, lm_weights, rows)
            ours["tick"] = lambda: (ours_codec.encode(), model.step(), ours_codec.decode())
            if self.compare:
                step = subjects.reference_step(tiny, lm_weights, rows)
                theirs["moshi tick"] = lambda: (
                    theirs["moshi encode"](),
                    step(),
                    theirs["moshi decode"](),
                )
        timings = self.race(ours, theirs)

        def both(first: str, second: str) -> Timing:
            pairs = zip(timings[first].rounds, timings[second].rounds, strict=True)
            return Timing([a + b for a, b in pairs])

        if "codec" in self.args.only:
            mine = both("encode", "decode")
            other = both("moshi encode", "moshi decode") if self.compare else None
            self.note(
                f"codec_{rows}",
                encode_ms=timings["encode"].ms,
                decode_ms=timings["decode"].ms,
                moshi_encode_ms=timings["moshi encode"].ms if other else None,
                moshi_decode_ms=timings["moshi decode"].ms if other else None,
                ratio=ratio(other, mine) if other else None,
            )
        if "tick" in self.args.only:
            reference = timings.get("moshi tick")
            self.note(
                f"tick_{rows}",
                ms=timings["tick"].ms,
                moshi_ms=reference.ms if reference else None,
                ratio=ratio(reference, timings["tick"]) if reference else None,
            )

    def engine(self) -> None:
        """Measure the rehearsal model as it is served: loading, a kept prompt, and a tick."""
        import numpy as np

        from personaplex_server.checkpoint import make_rehearsal
        from personaplex_server.engines.base import Persona
        from personaplex_server.engines.personaplex import PersonaPlexEngine
        from personaplex_server.protocol import FRAME_SAMPLES, FRAME_SECONDS

        from .measure import interleaved, once_ms

        persona = Persona(text="You are a friendly teacher.")
        sound = (0.1 * np.random.default_rng(1).standard_normal(FRAME_SAMPLES)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            make_rehearsal(Path(folder) / "model")
            begin = time.perf_counter()
            engine = PersonaPlexEngine.load(
                Path(folder) / "model", device="cpu", rows=2, threads=self.args.threads
            )
            loading = 1000.0 * (time.perf_counter() - begin)
            first = once_ms(lambda: engine.open(0, persona))

            def again() -> None:
                engine.open(1, persona)
                engine.tick({1: sound})
                engine.close(1)

            tick = interleaved(
                {"tick": lambda: engine.tick({0: sound})}, self.args.rounds, clock=self.clock
            )["tick"]
            engine.close(0)
            kept = interleaved({"again": again}, self.args.rounds, clock=self.clock)["again"]
        self.note(
            "engine",
            load_ms=loading,
            first_prompt_ms=first,
            kept_prompt_and_tick_ms=kept.ms,
            tick_ms=tick.ms,
            real_time_factor=tick.ms / (1000.0 * FRAME_SECONDS),
        )

    def calls(self, codec: str) -> None:
        """Hold more and more calls over sockets, until they are not held in time."""
        from . import calls

        most = 0
        for count in calls.STEPS[codec]:
            found = calls.hold(codec, count, self.args.call_seconds, self.args.threads, self.clock)
            self.note(f"calls_{codec}_{count}", **found)
            if not calls.held(found, alone=not self.args.cpu_time):
                break
            most = count
        self.note(f"calls_{codec}", held=most, prototype=calls.GOALS[codec])


def run(args: argparse.Namespace) -> int:
    """Measure, tell, and return 0; 1 where a number in `args` cannot be used."""
    from personaplex_server.serve import wait_asleep

    wait_asleep()
    import torch

    from . import reference

    if min(args.threads, args.rounds, *args.rows) < 1:
        print("Threads, rows and rounds must be at least 1.", file=sys.stderr)
        return 1
    if args.cpu_time and args.threads > 1:
        print(
            "--cpu-time takes what one thread worked for the length of a tick. Of several none tells it: each works on "
            "its share, and waits for the others. Leave out --threads, or --cpu-time.",
            file=sys.stderr,
        )
        return 1
    torch.set_num_threads(args.threads)
    folder: Path | None = args.reference_dir / f"moshi-{reference.VERSION}"
    if args.alone:
        folder = None
    if folder is not None:
        try:
            reference.install(folder)
            reference.load(folder)
        except reference.MissingReferenceError as error:
            print(f"{error} Only our own figures follow.", file=sys.stderr)
            folder = None
    bench = _Bench(args, folder)
    with torch.inference_mode():
        # The codec goes first: once large blocks were freed, the system's allocator keeps them for the rest of the
        # process, and the reference, which takes many, would be measured as no fresh server runs it.
        for rows in args.rows:
            if {"codec", "tick"} & set(args.only):
                bench.sound(rows)
                gc.collect()
        for rows in args.rows:
            for size in args.sizes:
                if {"lm", "prompt"} & set(args.only):
                    bench.language(size, rows)
                    gc.collect()
    if "engine" in args.only:
        bench.engine()
    if "calls" in args.only:
        from personaplex_server.serve import SWITCH_INTERVAL_S

        # As `serve` does: the event loop must not wait long for the model's thread.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        for codec in args.codecs:
            bench.calls(codec)
    print(json.dumps(_report(args, bench, torch.__version__)))
    return 0


def _report(args: argparse.Namespace, bench: _Bench, torch_version: str) -> dict[str, object]:
    from . import reference

    ratios = {
        name: values["ratio"]
        for name, values in bench.figures.items()
        if values.get("ratio") is not None
    }
    below = [name for name, floor in FLOORS.items() if (ratios.get(name) or floor) < floor]
    if below:
        print(f"below the prototype's ratio: {', '.join(below)}", file=sys.stderr)
    return {
        "machine": {"processor": _processor(), "system": platform.system()},
        "torch": torch_version,
        "reference": f"moshi {reference.VERSION}" if bench.compare else None,
        "threads": args.threads,
        "clock": "cpu time" if args.cpu_time else "wall",
        "lm_position": 300,
        "figures": bench.figures,
        "ratios": ratios,
        "floors": FLOORS,
        "below": below,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} processors" if names else platform.processor()
