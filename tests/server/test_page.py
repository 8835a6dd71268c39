"""The page at `/`: its files, and a call with it in a real browser (run with `-m browser`)."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page/page.js", "text/javascript"),
        ("/page/ogg.js", "text/javascript"),
        ("/page/worklets.js", "text/javascript"),
        ("/page/style.css", "text/css"),
    ],
)
def test_the_page_needs_no_token_and_holds_nothing_from_elsewhere(serve, path, kind):
    server = serve(token=TOKEN)
    answer = server.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "//" not in answer.text.replace("https://example", "").replace("// ", "")


@pytest.mark.parametrize("path", ["/page/", "/page/__init__.py", "/page/..%2Fweb.py", "/page/a/b"])
def test_nothing_else_is_served(serve, path):
    assert serve().get(path).status_code == 404


class Browser:
    """Chromium without a window, told what to do by its DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self.call("Runtime.enable")
        self.call("Log.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=30))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]
            if told.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told["params"]["exceptionDetails"]))
            if (
                told.get("method") == "Log.entryAdded"
                and told["params"]["entry"]["level"] == "error"
            ):
                self.complaints.append(told["params"]["entry"]["text"])

    def run(self, script: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            words = self.run("document.body.innerText")
            assert time.monotonic() < end, (script, words, self.complaints)
            time.sleep(0.05)
        return value


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A real browser with a microphone that beeps."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "There is no Chromium here; install the package chromium."
    folder = tmp_path / "profile"
    process = subprocess.Popen(
        [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
            *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"),
            *("--no-proxy-server", "--disable-background-networking", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = folder / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not (port.exists() and port.read_text().count("\n")):
            assert time.monotonic() < end
            time.sleep(0.05)
        listed = httpx.get(f"http://127.0.0.1:{port.read_text().split()[0]}/json", trust_env=False)
        page = next(each for each in listed.json() if each["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], proxy=None, max_size=None) as socket:
            yield Browser(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.mark.browser
def test_a_call_from_a_real_browser(serve, browser, scripted):
    engine = scripted()
    engine.text = " héllo"
    server = serve(engine, token=TOKEN)
    browser.call("Page.navigate", url=f"{server.url}/?token={TOKEN}")
    browser.until("document.getElementById('server')?.textContent.startsWith('Ready')")
    assert "token" not in browser.run("location.href")
    assert browser.run("document.getElementById('voice').length") == 3
    browser.run("document.getElementById('voice').value = 'bert.pt'")
    browser.run("document.getElementById('role').value = 'You are kind.'")
    browser.run("document.getElementById('talk').click()")
    browser.until("document.body.dataset.state === 'talking'")
    browser.until("document.getElementById('transcript').textContent.includes('héllo héllo')")
    browser.until("document.getElementById('mine').value > 0.3")
    browser.until("document.getElementById('theirs').value > 0.3")
    # What waits to be played is part of it.
    browser.until("parseInt(document.getElementById('delay').textContent) > 50")
    assert browser.run("parseInt(document.getElementById('delay').textContent)") < 1500
    (persona,) = engine.personas
    assert (persona.voice, persona.text) == ("bert.pt", "You are kind.")
    before = len(engine.heard[0])
    time.sleep(1.0)
    assert 8 <= len(engine.heard[0]) - before <= 17
    browser.run("document.getElementById('end').click()")
    browser.until("document.body.dataset.state === 'idle'")
    server.until(lambda health: health["free"] == 1)
    assert not browser.complaints


@pytest.mark.browser
def test_the_page_tells_why_a_call_is_refused_and_waits_in_line(serve, browser, dial, scripted):
    server = serve(scripted(), max_wait_s=60)
    first = dial(server.chat)
    first.handshake()
    browser.call("Page.navigate", url=server.url)
    browser.until("document.getElementById('server')?.textContent.startsWith('All lines')")
    browser.run("document.getElementById('talk').click()")
    browser.until("document.getElementById('status').textContent.includes('number 1 in line')")
    first.hang_up()
    browser.until("document.body.dataset.state === 'talking'")
    server.service.engines["scripted"].stop()
    browser.until("document.getElementById('status').textContent.includes('stopping')")
    assert not browser.complaints


@pytest.mark.browser
def test_the_page_comes_back_after_a_broken_connection(serve, browser, scripted):
    engine = scripted()
    server = serve(engine)
    browser.call("Page.navigate", url=server.url)
    browser.until("document.getElementById('server')?.textContent.startsWith('Ready')")
    browser.run("document.getElementById('talk').click()")
    browser.until("/^\\d+ ms/.test(document.getElementById('delay').textContent)")
    conversations = server.service.reception.conversations
    (held,) = conversations._known.values()
    held._displaced.set()
    browser.until("document.body.dataset.state === 'waiting'")
    browser.until("document.body.dataset.state === 'talking'")
    before = len(engine.heard[0])
    server.until(lambda _: len(engine.heard[0]) > before + 5)
    assert len(engine.personas) == 1
