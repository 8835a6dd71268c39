"""The command line client of PyPI `moshi`, unchanged but for its sound card, against this server.

It wants `pip install --no-deps --target DIR moshi==0.2.13`, `pip install --target DIR aiohttp`, and `PYTHONPATH=DIR`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.moshi

FRAME_S = 0.08


class Printer:
    """Keeps what the client would print."""

    def __init__(self):
        self.words, self.logged = "", []

    def print_header(self):
        """Print nothing."""

    print_pending = print_lag = print_header

    def print_token(self, token):
        self.words += token

    def log(self, level, message):
        self.logged.append((level, message))


class Stream:
    """A sound card's stream: calls back for each block, in time, from a thread of its own."""

    def __init__(self, samplerate, channels, blocksize, callback):
        assert (samplerate, channels, blocksize) == (24_000, 1, 1920)
        self._callback, self._ended = callback, threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self.block()
            due += FRAME_S

    def block(self):
        raise NotImplementedError


@pytest.fixture
def client(monkeypatch, tone):
    """The client's module, and what its loudspeaker played."""
    played = []

    class InputStream(Stream):
        def block(self):
            self._callback(tone(FRAME_S).reshape(-1, 1), 1920, None, None)

    class OutputStream(Stream):
        def block(self):
            out = np.zeros((1920, 1), np.float32)
            self._callback(out, 1920, None, None)
            played.append(out[:, 0])

    card = types.ModuleType("sounddevice")
    card.InputStream, card.OutputStream = InputStream, OutputStream
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    found = importlib.util.find_spec("moshi")
    assert found is not None, "the stock client is not installed; see the top of this file"
    # The package's own beginning imports its models; the client needs none of them.
    package = types.ModuleType("moshi")
    package.__path__ = [str(Path(found.origin).parent)]
    monkeypatch.setitem(sys.modules, "moshi", package)
    for name in ("moshi.client", "moshi.client_utils"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("moshi.client"), played


def talk(client, url, seconds):
    """Hold a call as `python -m moshi.client --url` does; return what would be printed."""
    printer = Printer()
    options = argparse.Namespace(url=url, host="", port=0, https=False)

    async def call():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await client.run(printer, options)

    asyncio.run(call())
    return printer


def test_it_is_greeted_hears_and_reads(serve, scripted, client):
    module, played = client
    engine = scripted(rows=1)
    engine.text = "hello "
    server = serve(engine)
    printer = talk(module, server.url, 3.0)
    # It knows no handshake and wonders once; nothing else may surprise it.
    assert [each for each in printer.logged if each[0] != "info"] == [
        ("warning", "unknown message kind 0")
    ]
    assert printer.words.startswith("hello hello ")
    heard = np.concatenate(played)
    loud = heard[np.abs(heard).max() * 0.5 < np.abs(heard)]
    assert len(loud) > 24_000 / 4
    assert np.sqrt(np.mean(heard[-24_000:] ** 2)) == pytest.approx(0.3 / 2**0.5, rel=0.3)
    server.until(lambda health: health["free"] == 1)


def test_it_reads_why_it_is_refused(serve, scripted, client):
    module, _ = client
    server = serve(scripted(rows=1), token="correct-horse-battery")
    printer = talk(module, server.url, 3.0)
    assert "token" in printer.words
