"""The house's manners for every test: a home of its own, no network, no surprises in the log, nothing left behind.

A test that must log a warning says so with `@pytest.mark.logs_warnings`, or looks at it through `caplog`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import ipaddress
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from _setup import server_bundle
from _setup.exclusive import exclusive
from _setup.layout import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Before anything imports Qt: a test run never opens a window on the developer's screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

HOME_VARIABLE = "PERSONADESK_HOME"
TESTS = Path(__file__).parent
GRACE_SECONDS = 3.0
"""How long a test's threads, tasks and children may take to end after it."""


class NetworkBlocked(RuntimeError):
    """A test reached for a machine that is not this one."""


def pytest_configure(config: pytest.Config) -> None:
    """Give fixtures of a wider scope than a test a home too, which is never the developer's own."""
    folder = tempfile.mkdtemp(prefix="personadesk-tests-")
    os.environ[HOME_VARIABLE] = folder
    # Nor does the language of the developer's computer change what tests read.
    os.environ["PERSONADESK_LANGUAGE"] = "en"
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what wants a real window system unless there is one, order files, watch tests' tasks."""
    on_display = os.environ["QT_QPA_PLATFORM"] == "xcb"
    left_out = [item for item in items if item.get_closest_marker("xcb") and not on_display]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        # Files are handed out in this order: what takes minutes must not be what all others wait for at the end.
        long = {item.path for item in items if item.get_closest_marker("long")}
        items.sort(key=lambda item: item.path not in long)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _leaving_no_task(item.obj)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the checks that failed before the tests, where nobody overlooks it."""
    failed = os.environ.get("PERSONADESK_FAILED_CHECKS")
    if failed:
        terminalreporter.write_sep("=", f"FAILED before the tests: {failed}", red=True, bold=True)


@pytest.fixture(autouse=True)
def personadesk_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh `PERSONADESK_HOME` for the test; the folder itself is not made."""
    home = tmp_path / "personadesk-home"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return home


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Only this machine can be reached, in this process; child processes look after themselves."""
    connect, connect_ex, getaddrinfo = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _allow(self, address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _allow(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_address(name) and name not in {"localhost", socket.gethostname()}:
            raise NetworkBlocked(f"A test looked up {name}; tests reach only this machine.")
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@pytest.fixture(autouse=True, scope="session")
def _server_bundle() -> None:
    """What is deployed in tests is the server as it lies in the tree, not as it was when last set up."""
    layout = here()
    if not server_bundle.is_current(layout):
        with exclusive(layout.scratch / "setup.lock"):
            server_bundle.ensure_bundle(layout)


@pytest.fixture(autouse=True)
def _no_log_surprises(request: pytest.FixtureRequest) -> Iterator[None]:
    """PersonaDesk's tests fail on a warning in the log that they did not ask for."""
    looked_at = "caplog" in request.fixturenames
    expected = request.node.get_closest_marker("logs_warnings")
    if looked_at or expected or TESTS / "desktop" not in request.path.parents:
        yield
        return
    recorder = _Recorder()
    logging.getLogger().addHandler(recorder)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(recorder)
    if recorder.lines:
        told = "\n".join(recorder.lines)
        pytest.fail(f"Unexpected in the log (mark the test logs_warnings if it must be):\n{told}")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A test ends its threads and its child processes."""
    threads, children = set(threading.enumerate()), _children()
    yield
    left = _after_grace(lambda: [*_threads_since(threads), *_children_since(children)])
    if left:
        pytest.fail(f"The test left behind: {', '.join(left)}")


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.partition("%")[0])
        return True
    return False


def _allow(sock: socket.socket, address: Any) -> None:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = str(address[0])
    if host in {"localhost", ""}:
        return
    known = ipaddress.ip_address(host.partition("%")[0]) if _is_address(host) else None
    if known is None or not (known.is_loopback or known.is_unspecified):
        # Whoever called has no more use for it, and a socket that is left to itself is a warning elsewhere.
        sock.close()
        raise NetworkBlocked(f"A test connected to {address}; tests reach only this machine.")


def _leaving_no_task(test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        before = asyncio.all_tasks()
        result = await test(*args, **kwargs)
        deadline = time.monotonic() + GRACE_SECONDS
        while left := [task for task in asyncio.all_tasks() - before if not task.done()]:
            if time.monotonic() > deadline:
                names = ", ".join(f"{task.get_name()} ({task.get_coro()})" for task in left)
                pytest.fail(f"The test left tasks behind: {names}")
            await asyncio.sleep(0.01)
        return result

    return watched


def _after_grace(left: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + GRACE_SECONDS
    while (found := left()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _threads_since(before: set[threading.Thread]) -> list[str]:
    """Threads that Python did not start (Qt's, PortAudio's) show as Dummy for ever."""
    now = set(threading.enumerate()) - before
    return [f"thread {each.name}" for each in now if not each.name.startswith("Dummy-")]


def _children() -> set[int]:
    """Our child processes, where the system lists them cheaply (Linux)."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found.update(int(pid) for pid in path.read_text().split())
    return found


def _children_since(before: set[int]) -> list[str]:
    left = []
    for pid in _children() - before:
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if "resource_tracker" not in words:
                left.append(f"process {pid} {words[:120] or '(not waited for)'}")
    return left
