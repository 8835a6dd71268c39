"""The page at `/`: its files, and a call with it in a real browser (run with `-m browser`)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
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
    """A browser without a window, with a microphone that beeps."""

    complaints: list[str]

    def go(self, url: str) -> None:
        raise NotImplementedError

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        raise NotImplementedError

    def complained(self) -> list[str]:
        """Return the errors that the page made so far."""
        return self.complaints

    def until(self, script: str, seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            words = self.run("document.body.innerText")
            assert time.monotonic() < end, (script, words, self.complained())
            time.sleep(0.05)
        return value


class Chromium(Browser):
    """Told what to do by its DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints = []
        self._call("Runtime.enable")
        self._call("Log.enable")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
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

    def go(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        answer = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


class Firefox(Browser):
    """Told what to do by its Marionette protocol: numbered arrays, each behind its length."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._numbers = itertools.count(1)
        self._origin = "no page yet"
        self._read()
        self._call("WebDriver:NewSession", capabilities={})

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._socket.recv(1)
        body = b""
        while len(body) < int(length[:-1]):
            body += self._socket.recv(int(length[:-1]) - len(body))
        return json.loads(body)

    def _call(self, command: str, **parameters: Any) -> Any:
        body = json.dumps([0, next(self._numbers), command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(body), body))
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def go(self, url: str) -> None:
        self._origin = "/".join(url.split("/")[:3])
        self._call("WebDriver:Navigate", url=url)

    def run(self, script: str) -> Any:
        done = f"const value = (() => {{ return ({script}); }})(); return value ?? null"
        return self._call("WebDriver:ExecuteScript", script=done, args=[])["value"]

    def complained(self) -> list[str]:
        self._call("Marionette:SetContext", value="chrome")
        try:
            listed = """
                return Services.console.getMessageArray()
                    .filter((each) => each instanceof Ci.nsIScriptError && !(each.flags & 1))
                    .map((each) => `${each.sourceName}:${each.lineNumber} ${each.errorMessage}`)
            """
            told = self._call("WebDriver:ExecuteScript", script=listed, args=[])["value"]
        finally:
            self._call("Marionette:SetContext", value="content")
        return [each for each in told if each.startswith(self._origin)]


def started(
    command: list[str], written: Path, **environment: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a browser; return it and the port that it writes into a file."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | environment,
    )
    end = time.monotonic() + 90
    while not (written.exists() and written.read_text().strip()):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    return process, int(written.read_text().split()[0])


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "There is no Chromium here; install the package chromium."
    process, port = started(
        [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
            *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"),
            *("--no-proxy-server", "--disable-background-networking", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder}", "about:blank"),
        ],
        folder / "DevToolsActivePort",
    )
    try:
        listed = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False)
        page = next(each for each in listed.json() if each["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], proxy=None, max_size=None) as sock:
            yield Chromium(sock)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@contextlib.contextmanager
def loudspeaker() -> Iterator[str]:
    """A loudspeaker that nobody hears, as Firefox plays nothing without one; yields its address."""
    program = shutil.which("pulseaudio")
    assert program, "Firefox needs a loudspeaker; install the package pulseaudio."
    with tempfile.TemporaryDirectory(prefix="loud-") as home:
        path = Path(home) / "native"
        process = subprocess.Popen(
            [
                *(program, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                *("--disable-shm=yes", "-L", "module-null-sink"),
                *("-L", f"module-native-protocol-unix socket={path} auth-anonymous=1"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": home, "XDG_RUNTIME_DIR": home, "PULSE_RUNTIME_PATH": home},
        )
        try:
            end = time.monotonic() + 30
            while not path.exists():
                assert time.monotonic() < end
                time.sleep(0.05)
            yield f"unix:{path}"
        finally:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def firefox(folder: Path, *, deaf: bool = False) -> Iterator[Browser]:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    assert program, "There is no Firefox here; install the package firefox-esr."
    folder.mkdir()
    wishes = {
        "marionette.port": 0,
        "media.navigator.streams.fake": True,
        "media.navigator.permission.disabled": True,
        "media.autoplay.default": 0,
        "network.proxy.type": 0,
        "datareporting.policy.dataSubmissionEnabled": False,
        "browser.shell.checkDefaultBrowser": False,
    }
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wishes.items()
    ]
    (folder / "user.js").write_text("\n".join(lines))
    command = [
        *(program, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access"),
        *("--profile", str(folder), "about:blank"),
    ]
    with contextlib.nullcontext("unix:/nowhere") if deaf else loudspeaker() as address:
        process, port = started(command, folder / "MarionetteActivePort", PULSE_SERVER=address)
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as sock:
                yield Firefox(sock)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture(params=[chromium, firefox], ids=["chromium", "firefox"])
def browser(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Each of the real browsers."""
    with request.param(tmp_path / "profile") as one:
        yield one


@pytest.mark.browser
def test_a_call_from_a_real_browser(serve, browser, scripted):
    engine = scripted()
    engine.text = " héllo"
    server = serve(engine, token=TOKEN)
    browser.go(f"{server.url}/?token={TOKEN}")
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
    # Steadily, however slow this computer is, and no faster than speech.
    before, began = len(engine.heard[0]), time.monotonic()
    while (came := len(engine.heard[0]) - before) < 25:
        assert time.monotonic() < began + 20, came
        time.sleep(0.02)
    assert came <= (time.monotonic() - began) / 0.08 + 6
    browser.run("document.getElementById('end').click()")
    browser.until("document.body.dataset.state === 'idle'")
    server.until(lambda health: health["free"] == 1)
    assert not browser.complained()


@pytest.mark.browser
def test_the_page_tells_why_a_call_is_refused_and_waits_in_line(serve, browser, dial, scripted):
    server = serve(scripted(), max_wait_s=60)
    first = dial(server.chat)
    first.handshake()
    browser.go(server.url)
    browser.until("document.getElementById('server')?.textContent.startsWith('All lines')")
    browser.run("document.getElementById('talk').click()")
    browser.until("document.getElementById('status').textContent.includes('number 1 in line')")
    first.hang_up()
    browser.until("document.body.dataset.state === 'talking'")
    server.service.engines["scripted"].stop()
    browser.until("document.getElementById('status').textContent.includes('stopping')")
    assert not browser.complained()


@pytest.mark.browser
def test_the_page_comes_back_after_a_broken_connection(serve, browser, scripted):
    engine = scripted()
    server = serve(engine)
    browser.go(server.url)
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


@pytest.mark.browser
def test_the_page_says_so_where_there_is_no_loudspeaker(serve, scripted, tmp_path):
    """Firefox waits for one without a word."""
    server = serve(scripted())
    with firefox(tmp_path / "profile", deaf=True) as browser:
        browser.go(server.url)
        browser.until("document.getElementById('server')?.textContent.startsWith('Ready')")
        browser.run("document.getElementById('talk').click()")
        browser.until("document.getElementById('status').textContent.includes('no loudspeaker')")
        assert browser.run("document.body.dataset.state") == "idle"
