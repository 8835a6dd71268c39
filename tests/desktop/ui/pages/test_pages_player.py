"""Playing the sound of a report: it moves, it stops, it ends, and what cannot be played is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.ui.deploy.player import Player
from personadesk.ui.messages import bus
from personadesk.voice import wav


class Loudspeaker:
    """Plays into a test's hands."""

    def __init__(self) -> None:
        self.buffer: Any = None
        self.closed = False
        self.rate = 48_000
        self.fault: BadRequest | None = None

    def open_output(self, _name: str | None, make_buffer: Callable[[int], Any]) -> tuple[Any, Any]:
        if self.fault is not None:
            raise self.fault
        self.buffer = make_buffer(self.rate)
        return self, self.buffer

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def report(tmp_path: Path) -> str:
    tone = 0.3 * np.sin(np.arange(24_000) / 10).astype(np.float32)
    wav.write_wav(tmp_path / "call.wav", np.stack([tone, tone], axis=1))
    return str(tmp_path)


@pytest.fixture
def loudspeaker() -> Loudspeaker:
    return Loudspeaker()


def test_it_moves_with_the_sound_and_ends_with_it(
    run: Callable[[Awaitable[Any]], Any],
    report: str,
    loudspeaker: Loudspeaker,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    places: list[float | None] = []

    async def story() -> None:
        player = Player(lambda: loudspeaker)  # type: ignore[arg-type,return-value] # no microphone is asked for
        player.moved.connect(places.append)
        player.toggle(report)
        await wait_for(lambda: loudspeaker.buffer is not None)
        heard = loudspeaker.buffer.pull(24_000)
        assert np.abs(heard).max() > 0.2
        await wait_for(lambda: places and places[-1] is not None and places[-1] >= 0.5)
        loudspeaker.buffer.pull(24_000)
        await wait_for(lambda: places[-1] is None)
        await wait_for(lambda: loudspeaker.closed)
        assert not player.is_on

    run(story())
    assert places[0] == 0.0


def test_a_second_press_stops_it(
    run: Callable[[Awaitable[Any]], Any],
    report: str,
    loudspeaker: Loudspeaker,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story() -> None:
        player = Player(lambda: loudspeaker)  # type: ignore[arg-type,return-value]
        player.toggle(report)
        player.toggle(report)  # before it has even begun
        await wait_for(lambda: loudspeaker.closed)
        loudspeaker.closed = False
        player.toggle(report)
        await wait_for(lambda: loudspeaker.buffer is not None)
        await asyncio.sleep(0.1)
        player.toggle(report)
        await wait_for(lambda: loudspeaker.closed)
        assert not player.is_on

    run(story())


@pytest.mark.logs_warnings
def test_what_cannot_be_played_is_told(
    run: Callable[[Awaitable[Any]], Any],
    report: str,
    loudspeaker: Loudspeaker,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    loudspeaker.fault = BadRequest(T("The loudspeaker cannot be opened."))

    async def story() -> None:
        player = Player(lambda: loudspeaker)  # type: ignore[arg-type,return-value]
        player.toggle(report)
        await wait_for(lambda: bus().messages)
        assert str(bus().messages[0].what) == "The loudspeaker cannot be opened."
        assert not player.is_on

    run(story())
