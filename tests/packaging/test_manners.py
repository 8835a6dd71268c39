"""The house's own fixtures do fail a test that has bad manners, and leave others alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"

GUESTS = """
import asyncio, logging, os, socket, subprocess, threading, time
import pytest
from hypothesis import given, strategies as st

kept = []

def test_connects_elsewhere():
    socket.create_connection(("192.0.2.1", 9), 0.1)

def test_looks_a_name_up():
    socket.getaddrinfo("example.org", 80)

async def test_leaves_a_task():
    kept.append(asyncio.create_task(asyncio.sleep(9)))

def test_logs_a_warning():
    logging.getLogger("x").warning("no")

def test_leaves_a_thread():
    threading.Thread(target=time.sleep, args=(1,)).start()

def test_leaves_a_process():
    kept.append(subprocess.Popen(["sleep", "1"]))

@pytest.mark.logs_warnings
def test_good_marked():
    logging.warning("yes")

def test_good_caplog(caplog):
    logging.warning("yes")
    assert caplog.records

async def test_good_task_that_ends():
    kept.append(asyncio.create_task(asyncio.sleep(0.01)))

def test_good_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_good_home(tmp_path):
    assert os.environ["PERSONADESK_HOME"].startswith(str(tmp_path))

@given(st.integers())
def test_good_hypothesis(n):
    assert n == n

@pytest.mark.xcb
def test_on_a_display():
    raise AssertionError("only with a display")
"""


def test_bad_manners_fail_and_good_ones_pass(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        f"[pytest]\npythonpath = {CONFTEST.parents[1] / 'packaging'}\n"
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\nmarkers =\n    logs_warnings: x\n    xcb: x\n"
    )
    short = CONFTEST.read_text(encoding="utf-8").replace(
        "GRACE_SECONDS = 3.0", "GRACE_SECONDS = 0.1"
    )
    pytester.makeconftest(short)
    (pytester.path / "desktop").mkdir()
    (pytester.path / "desktop" / "test_guests.py").write_text(GUESTS, encoding="utf-8")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA")

    lines = [
        line.split(" - ")[0].split("::") for line in result.outlines if "test_guests.py::" in line
    ]
    told = {(head.split()[0], name) for head, name in (line for line in lines if len(line) == 2)}
    assert {name for word, name in told if word == "FAILED"} == {
        "test_connects_elsewhere",
        "test_looks_a_name_up",
        "test_leaves_a_task",
    }
    assert {name for word, name in told if word == "ERROR"} == {
        "test_logs_a_warning",
        "test_leaves_a_thread",
        "test_leaves_a_process",
    }
    assert result.parseoutcomes()["deselected"] == 1
    assert sum(name.startswith("test_good_") for word, name in told if word == "PASSED") == 6
