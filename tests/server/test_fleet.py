"""Many servers under Ray Serve, two of them on this computer (run with `-m fleet`; the options are always tried)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import psutil
import pytest
import sphn
import websockets

from personaplex_server.fleet import command
from personaplex_server.options import AUTO, UsageError
from personaplex_server.protocol import Kind
from personaplex_server.serving import bind

SERVER = (sys.executable, "-m", "personaplex_server")


def options(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["--engine", "echo", *words])


def test_a_fleet_grows_by_itself_and_lets_calls_end():
    given = options()
    assert (given.replicas, given.drain) == (AUTO, 3600.0)
    command.check(given)
    assert options("--replicas", "3").replicas == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--replicas", "0"), "--replicas"),
        (("--max-replicas", "0"), "--max-replicas"),
        (("--target", "0"), "--target"),
        (("--cpus", "-1"), "--cpus"),
        (("--tls-self-signed",), "--tls-self-signed"),
        (("--readiness-port", "1"), "--readiness-port"),
        (("--voices-token-file", "token"), "--voices-token-file"),
    ],
)
def test_what_cannot_be_followed_is_said(words, told):
    with pytest.raises(UsageError, match=told):
        command.check(options(*words))


def test_a_taken_port_is_told_before_ray_is_started(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with bind("127.0.0.1", 0) as sock:
        port = str(sock.getsockname()[1])
        assert command.run(options("--port", port)) == 3
    assert f"Port {port}" in capsys.readouterr().err


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'personaplex-server\[fleet\]'"):
        command.run(options("--port", "0"))


class Line:
    """One caller, who says the same for as long as the call goes on."""

    def __init__(self, url: str) -> None:
        self.url, self.heard, self.told, self.token = url, 0, [], None
        self.code: int | None = None
        self._talking: asyncio.Task[None] | None = None
        self.up = asyncio.Event()

    async def dial(self, resume: str = "1") -> Line:
        self.ws = await websockets.connect(f"{self.url}?metadata=1&resume={resume}", proxy=None)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def _listen(self) -> None:
        try:
            async for data in self.ws:
                kind, payload = Kind(data[0]), data[1:]
                if kind is Kind.HANDSHAKE:
                    self._talking = asyncio.create_task(self._talk())
                    self.up.set()
                elif kind is Kind.AUDIO:
                    self.heard += 1
                elif kind is Kind.METADATA:
                    self.token = json.loads(payload).get("resume") or self.token
                elif kind is Kind.ERROR:
                    self.told.append(payload.decode())
        except websockets.ConnectionClosedError:
            pass
        self.code = self.ws.close_code
        self.up.set()

    async def _talk(self) -> None:
        writer = sphn.OpusStreamWriter(24_000)
        sound = (0.2 * np.sin(np.arange(1920) / 9)).astype(np.float32)
        try:
            while True:
                await self.ws.send(b"\x01" + writer.append_pcm(sound))
                await asyncio.sleep(0.08)
        except websockets.ConnectionClosed:
            return

    async def until_heard(self, frames: int, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            wanted = self.heard + frames
            while self.heard < wanted:
                await asyncio.sleep(0.02)

    async def gone(self, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            await self._listening

    async def end(self, *, abruptly: bool = False) -> None:
        if abruptly:
            self.ws.transport.abort()
        await self.ws.close()
        await self._listening
        if self._talking is not None:
            await self._talking


@dataclass
class Fleet:
    process: subprocess.Popen[bytes]
    chat: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two replicas of the rehearsal model with one row each."""
    folder = tmp_path_factory.mktemp("fleet")
    subprocess.run(
        [*SERVER, "make-checkpoint", "--preset", "rehearsal", folder / "model"], check=True
    )
    ready = folder / "ready.json"
    with bind("127.0.0.1", 0) as sock:
        port = str(sock.getsockname()[1])
    words = ["--checkpoint", folder / "model", "--ready-file", ready, "--port", port]
    words += ["--replicas", "2", "--rows", "1", "--cpus", "0.5", "--threads", "1", "--drain", "20"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*SERVER, "fleet", *map(str, words)], stderr=log, stdout=log, cwd=folder
        )
    end = time.monotonic() + 150
    while not ready.exists():
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        assert time.monotonic() < end, (folder / "log").read_text()[-3000:]
        time.sleep(0.2)
    url = json.loads(ready.read_text())["url"]
    yield Fleet(process, url.replace("http", "ws") + "/api/chat")
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(90) == 0
    finally:
        for child in (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ()
        ):
            child.kill()


@pytest.fixture
def fleet(running: Fleet) -> str:
    """The address of the chat socket."""
    return running.chat


def replicas() -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["cmdline", "uids"])
        if any("ServeReplica" in word for word in each.info["cmdline"] or ())
        and each.info["uids"].real == os.getuid()
    ]


@pytest.mark.fleet
@pytest.mark.timeout(300)
def test_two_replicas_hold_two_calls_and_tell_a_third_at_once(fleet):
    async def run() -> None:
        first, second = await Line(fleet).dial(), await Line(fleet).dial()
        for line in (first, second):
            await line.up.wait()
            await line.until_heard(5)
        began = time.monotonic()
        third = await Line(fleet).dial()
        await third.gone()
        assert third.code == 1013
        assert "busy" in third.told[0]
        assert time.monotonic() - began < 10
        for line in (first, second):
            await line.until_heard(3)
            await line.end()

    asyncio.run(run())


@pytest.mark.fleet
@pytest.mark.timeout(300)
def test_a_caller_comes_back_to_their_own_replica(fleet):
    async def run() -> None:
        for _ in range(3):
            line = await Line(fleet).dial()
            await line.up.wait()
            await line.until_heard(3)
            await line.end(abruptly=True)
            assert line.token is not None
            again = await Line(fleet).dial(line.token)
            await again.up.wait()
            assert again.code is None, again.told
            await again.until_heard(3)
            await again.end()

    asyncio.run(run())


@pytest.mark.fleet
@pytest.mark.timeout(300)
def test_a_killed_replica_ends_its_own_call_only_and_is_made_anew(fleet):
    async def run() -> None:
        lines = [await Line(fleet).dial(), await Line(fleet).dial()]
        for line in lines:
            await line.up.wait()
            await line.until_heard(5)
        before = replicas()
        assert len(before) == 2
        before[0].kill()
        listening = [asyncio.create_task(line.gone()) for line in lines]
        done, _ = await asyncio.wait(listening, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        lost, other = lines if lines[0].code is not None else lines[::-1]
        assert lost.code not in (None, 1000)
        await other.until_heard(10)
        # What was said there is gone with it, and the caller is told so at once.
        back = await Line(fleet).dial(lost.token or "")
        await back.gone()
        assert back.code in (1008, 1013)
        assert back.told
        async with asyncio.timeout(120):
            while True:
                fresh = await Line(fleet).dial()
                await fresh.up.wait()
                if fresh.code is None:
                    break
                await asyncio.sleep(1.0)
        await fresh.until_heard(3)
        await fresh.end()
        await other.until_heard(3)
        await other.end()

    asyncio.run(run())


@pytest.mark.fleet
def test_the_other_routes_are_there(fleet):
    url = fleet.replace("ws", "http").removesuffix("/api/chat")
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/ping").text == "pong"
        assert client.get(f"{url}/health").json()["slots"] == 1
        assert client.get(f"{url}/").status_code == 200


@pytest.mark.fleet
@pytest.mark.timeout(300)
def test_calls_go_on_while_replicas_are_ended(running):
    """The last test: the fleet is stopped. A replica that is not needed any more is ended in the same way."""

    async def run() -> None:
        line = await Line(running.chat).dial()
        await line.up.wait()
        await line.until_heard(5)
        running.process.send_signal(signal.SIGTERM)
        await line.until_heard(60)
        assert line.code is None
        assert running.process.poll() is None
        await line.end()

    asyncio.run(run())
    assert running.process.wait(60) == 0
