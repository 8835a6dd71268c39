"""One file over several connections, in pieces: a cut at any moment, also a kill, costs no more than a second's bytes.

The file is written beside its final name as `.NAME.part`; `.NAME.part.json` says how much of each piece is there.
The library's own downloader neither goes on within a file after a kill nor tells its progress to a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from personaplex_server.supervise import write_whole

from . import faults
from .hub import Passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .hub import Hub, RemoteFile

PIECE_BYTES: Final = 64 << 20
TICK_SECONDS: Final = 0.25
_MOST_PIECES: Final = 10_000
_SAVE_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 10.0
_LONGEST_PAUSE_S: Final = 15.0
_JOIN_SECONDS: Final = 2.0
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Manner:
    """How to fetch.

    Attributes:
        connections: How many at a time.
        stall_s: How long a connection may be silent before it is made anew.
        patience_s: How long nothing at all may come before the fetch is given up.
    """

    connections: int = 4
    stall_s: float = 20.0
    patience_s: float = 120.0


@dataclass(slots=True)
class _Piece:
    begin: int
    end: int
    done: int = 0

    @property
    def missing(self) -> int:
        return self.end - self.begin - self.done


class Download:
    """One file on its way; `run` is called once.

    Args:
        hub: Whom to ask.
        url: Its address there.
        file: What it must become.
        target: Its final path; the download lies beside it.
        manner: How to fetch.
    """

    def __init__(self, hub: Hub, url: str, file: RemoteFile, target: Path, manner: Manner) -> None:
        self._hub = hub
        self._url = url
        self._file = file
        self._manner = manner
        self.part = target.with_name(f".{target.name}.part")
        self._notes = target.with_name(f".{target.name}.part.json")
        # Whatever size is claimed, the pieces can be counted.
        self._step = max(PIECE_BYTES, file.size // _MOST_PIECES)
        self._pieces = self._recall()
        self._waiting: list[_Piece] = []
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._last_byte = 0.0

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return sum(piece.done for piece in self._pieces)

    def run(self, on_tick: Callable[[int], None]) -> None:
        """Fetch what is missing; `on_tick` is told the bytes that are there, four times a second.

        Raises:
            FetchError: It cannot be fetched; what came is kept.
            OSError: The disk refuses.
        """
        self._lay_out()
        self._waiting = [piece for piece in reversed(self._pieces) if piece.missing]
        self._last_byte = time.monotonic()
        workers = [
            threading.Thread(target=self._work, name=f"fetch {number}", daemon=True)
            for number in range(min(self._manner.connections, len(self._waiting)))
        ]
        for worker in workers:
            worker.start()
        try:
            saved = time.monotonic()
            while alive := [worker for worker in workers if worker.is_alive()]:
                alive[0].join(TICK_SECONDS)
                on_tick(self.done)
                if time.monotonic() - saved >= _SAVE_SECONDS:
                    self._save()
                    saved = time.monotonic()
                if self._stop.is_set():
                    break
        finally:
            self._stop.set()
            until = time.monotonic() + _JOIN_SECONDS
            for worker in workers:
                # A worker may sit in a silent connection; what it has written is counted already.
                worker.join(max(0.0, until - time.monotonic()))
            with contextlib.suppress(
                OSError
            ):  # where the disk is full, the older notes are right too
                self._save()
        if self._failure is not None:
            raise self._failure
        on_tick(self.done)

    def finish(self, target: Path) -> None:
        """Give the whole file its name."""
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.part.replace(target)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw away what came."""
        self.part.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def _fresh(self) -> list[_Piece]:
        size, step = self._file.size, self._step
        return [_Piece(at, min(at + step, size)) for at in range(0, size, step)]

    def _recall(self) -> list[_Piece]:
        """Take up notes only where they speak of this very content, and of a file that is there."""
        pieces = self._fresh()
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            there = self.part.stat().st_size
            done = [int(count) for count in notes["done"]]
            same = (notes["digest"], notes["piece"], len(done), there) == (
                self._file.digest, self._step, len(pieces), self._file.size,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            return pieces
        if same and all(0 <= d <= p.end - p.begin for d, p in zip(done, pieces, strict=True)):
            for piece, count in zip(pieces, done, strict=True):
                piece.done = count
        return pieces

    def _lay_out(self) -> None:
        with self.part.open("ab") as file:
            file.truncate(self._file.size)
        self._save()

    def _save(self) -> None:
        notes = {
            "digest": self._file.digest,
            "piece": self._step,
            "done": [piece.done for piece in self._pieces],
        }
        write_whole(self._notes, json.dumps(notes))

    def _take(self) -> _Piece | None:
        with self._guard:
            return self._waiting.pop() if self._waiting else None

    def _fail(self, error: Exception) -> None:
        with self._guard:
            self._failure = self._failure or error
        self._stop.set()

    def _work(self) -> None:
        try:
            with self.part.open("rb+", buffering=0) as out:
                while not self._stop.is_set() and (piece := self._take()) is not None:
                    self._fetch(piece, out)
        except Exception as error:
            self._fail(error)

    def _fetch(self, piece: _Piece, out: BinaryIO) -> None:
        failed = 0
        while piece.missing and not self._stop.is_set():
            before = piece.done
            try:
                self._stream(piece, out)
            except Passing as trouble:
                fault, after = trouble.fault, trouble.after_s
            except self._hub.trouble as error:
                fault, after = self._hub.unreachable(error), 0.0
            else:
                continue
            failed = 1 if piece.done > before else failed + 1
            if time.monotonic() - self._last_byte > self._manner.patience_s:
                raise fault
            pause = max(after, min(0.25 * 2**failed, _LONGEST_PAUSE_S))
            self._stop.wait(pause * random.uniform(0.7, 1.0))  # noqa: S311 - only so that not all ask at once

    def _stream(self, piece: _Piece, out: BinaryIO) -> None:
        begin = piece.begin + piece.done
        headers = self._hub.headers() | {
            "Range": f"bytes={begin}-{piece.end - 1}",
            "Accept-Encoding": "identity",
        }
        stall = self._manner.stall_s
        with self._hub.session.stream(
            "GET", self._url, headers=headers, follow_redirects=True,
            timeout=(_CONNECT_SECONDS, stall, stall, stall),
        ) as answer:  # fmt: skip
            for chunk in self._content(answer, begin):
                if self._stop.is_set():
                    return
                view = memoryview(chunk)[: piece.missing]
                _write(out, piece.begin + piece.done, view)
                piece.done += len(view)
                self._last_byte = time.monotonic()
                if not piece.missing:
                    return
        if piece.missing:
            raise Passing(faults.unreachable(self._hub.host, "the answer ended too early"))

    def _content(self, answer: Any, begin: int) -> Iterator[bytes]:
        """Yield the bytes from `begin` on; a server that knows no ranges sends those before it too."""
        if answer.status_code == 206:
            told = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if told is None or int(told[1]) != begin or int(told[3]) != self._file.size:
                said = answer.headers.get("content-range")
                raise faults.hub_fault(
                    self._hub.host, 206, f"asked for bytes from {begin}, got {said}"
                )
            yield from answer.iter_raw()
            return
        if answer.status_code == 200:
            skip = begin
            for chunk in answer.iter_raw():
                if len(chunk) > skip:
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))
            return
        if answer.history and answer.status_code in {401, 403, 404, 410}:
            # The hub let us in and sent us on; the address it gave out is only good for a while.
            raise Passing(faults.hub_fault(answer.url.host, answer.status_code))
        refusal = self._hub.refusal(answer.status_code, answer.headers, self._file.name)
        raise refusal


def _write(out: BinaryIO, at: int, view: memoryview) -> None:
    out.seek(at)
    while view:
        view = view[out.write(view) :]
