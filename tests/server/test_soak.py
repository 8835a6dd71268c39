"""Ten minutes with 8 callers who come and go, some without a word (run with `-m soak`; SOAK_S sets another length)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import sphn
import websockets

from personaplex_server.protocol import Kind

SECONDS = float(os.environ.get("SOAK_S", "600"))
CALLERS = 8
SERVER = (sys.executable, "-m", "personaplex_server")
MOST_GROWTH = 24 << 20


class Diary:
    """What came of all calls."""

    def __init__(self):
        self.calls = self.resumed = self.dropped = self.words = 0
        self.lag, self.faults = [], []


def talk():
    """Return the messages of half a minute of speech-like sound."""
    writer = sphn.OpusStreamWriter(24_000)
    at = np.arange(1920 * 375) / 24_000
    tone = 0.3 * np.sin(2 * np.pi * 180 * at) * (1 + np.sin(2 * np.pi * 3 * at)) / 2
    frames = tone.astype(np.float32).reshape(-1, 1920)
    return [b"\x01" + writer.append_pcm(frame) for frame in frames]


async def listen(ws, diary, tokens):
    async for data in ws:
        if data[0] == Kind.METADATA:
            told = json.loads(data[1:])
            tokens += [told["resume"]] if told.get("resume") else []
            if "lag_ms" in told:
                diary.lag.append(told["lag_ms"])
                diary.dropped = max(diary.dropped, told["dropped"])
        elif data[0] == Kind.TEXT:
            diary.words += 1
        elif data[0] == Kind.ERROR:
            diary.faults.append(data[1:].decode())


async def call(url, messages, diary, dice, resume="1"):
    """Talk for a while, and leave in one of the ways there are; return a token if the call was only broken off."""
    async with websockets.connect(f"{url}?metadata=1&resume={resume}", proxy=None) as ws:
        async with asyncio.timeout(60):
            while (await ws.recv())[0] != Kind.HANDSHAKE:
                continue
        diary.calls += 1
        tokens = []
        hearing = asyncio.create_task(listen(ws, diary, tokens))
        due = time.monotonic()
        for message in messages[: dice.randint(40, 300)]:
            await ws.send(message)
            due += 0.08
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        way = dice.choice(["polite", "polite", "abrupt", "broken"])
        if way == "polite":
            await ws.close()
        else:
            ws.transport.abort()
        with contextlib.suppress(websockets.ConnectionClosed):
            await hearing
    return tokens[-1] if tokens and way == "broken" else None


async def come_and_go(url, messages, diary, number, end):
    dice, resume = random.Random(number), "1"
    while time.monotonic() < end:
        try:
            token = await call(url, messages, diary, dice, resume)
        except websockets.ConnectionClosed as error:
            diary.faults.append(f"{error}")
            token = None
        diary.resumed += resume != "1"
        resume = token or "1"
        await asyncio.sleep(dice.uniform(0.0, 2.0))


async def watch(process, sizes, end):
    while time.monotonic() < end:
        sizes.append(process.memory_info().rss)
        await asyncio.sleep(2.0)


async def soak(url, process, diary, sizes):
    messages, end = talk(), time.monotonic() + SECONDS
    await asyncio.gather(
        watch(process, sizes, end),
        *(come_and_go(url, messages, diary, number, end) for number in range(CALLERS)),
    )


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 240)
def test_callers_who_come_and_go_leave_nothing_behind(tmp_path: Path, capsys):
    folder, ready = tmp_path / "model", tmp_path / "ready.json"
    subprocess.run([*SERVER, "make-checkpoint", "--preset", "rehearsal", folder], check=True)
    options = ["--rows", str(CALLERS), "--resume", "5", "--max-wait", "60", "--threads", "1"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *SERVER,
                "serve",
                "--port",
                "0",
                "--checkpoint",
                folder,
                "--ready-file",
                ready,
                *options,
            ],
            stderr=log,
        )
    try:
        end = time.monotonic() + 120
        while not ready.exists() or "ready" not in httpx.get(
            json.loads(ready.read_text())["url"] + "/health", trust_env=False
        ).text.replace('"state":"loading"', ""):
            assert time.monotonic() < end
            time.sleep(0.2)
        url = json.loads(ready.read_text())["url"]
        diary, sizes = Diary(), []
        asyncio.run(
            soak(url.replace("http", "ws") + "/api/chat", psutil.Process(server.pid), diary, sizes)
        )
        time.sleep(7.0)
        status = httpx.get(f"{url}/api/status", trust_env=False).json()
    finally:
        server.terminate()
        code = server.wait(20)
    lag = np.quantile(diary.lag, [0.5, 0.99, 1.0]).round(0).tolist()
    settled = sizes[len(sizes) // 3]
    with capsys.disabled():
        print(
            f"\n{SECONDS:.0f} s: {diary.calls} calls, {diary.resumed} resumed, lag p50/p99/max {lag} ms, "
            f"{status['dropped']} frames dropped, tick p50/p99 {status['tick_p50_ms']}/"
            f"{status['tick_p99_ms']} ms, memory {sizes[0] >> 20}, {settled >> 20}, "
            f"{sizes[-1] >> 20} MiB at start, after a third, at the end; faults {diary.faults[:3]}"
        )
    assert diary.calls > CALLERS
    assert diary.words
    assert not diary.faults
    assert (status["state"], status["free"], status["kept"]) == ("ready", CALLERS, 0)
    assert max(sizes[len(sizes) // 3 :]) - settled < MOST_GROWTH
    assert code == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
