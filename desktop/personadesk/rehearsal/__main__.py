"""The process of the pretend providers: `python -m personadesk.rehearsal FOLDER CACHE`; it outlives PersonaDesk.

A signal suspends it: what ran is killed, and is as it was at the next start. Told to stop by way of its control door,
it removes everything.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.rehearsal import catalog
from personadesk.rehearsal.cloud import Cloud
from personadesk.rehearsal.running import EXIT_TAKEN, lock_of
from personadesk.store.logs import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.rehearsal.http import Simulator


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def main(words: Sequence[str] | None = None) -> int:
    """Run until told to end."""
    parser = argparse.ArgumentParser(prog="python -m personadesk.rehearsal", description=__doc__)
    parser.add_argument("folder", type=Path, help="everything of the pretend providers")
    parser.add_argument("cache", type=Path, help="where machines keep what pip downloaded")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster machines come up")
    parser.add_argument("--seed", type=int, help="for chance that repeats itself")
    parser.add_argument(
        "--simulator", action="append", default=[], metavar="MODULE:CLASS",
        help="instead of all of PersonaDesk's own",
    )  # fmt: skip
    options = parser.parse_args(words)
    options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    lock = lock_of(options.folder)
    if not lock.acquire(kind="rehearsal"):
        return EXIT_TAKEN
    try:
        return _run(options)
    finally:
        lock.release()


def _run(options: argparse.Namespace) -> int:
    kinds: list[type[Simulator]] = [catalog.kind(each) for each in catalog.ids()]
    if options.simulator:
        kinds = [_named(place) for place in options.simulator]
    cloud = Cloud(options.folder, options.cache, kinds, speed=options.speed, seed=options.seed)
    suspended = False

    def suspend(number: int, frame: object) -> None:
        nonlocal suspended
        suspended = True
        cloud.ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, suspend)
    cloud.start()
    cloud.wait()
    if suspended:
        cloud.suspend()
    else:
        cloud.clear()
    return 0


def _named(place: str) -> type[Simulator]:
    module, _, name = place.partition(":")
    found: type[Simulator] = getattr(importlib.import_module(module), name)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
