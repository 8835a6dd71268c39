from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from personadesk.store.instance import deploy_lock, lines_lock, window_lock
from personadesk.store.locks import FileLock
from personadesk.store.paths import folders

HOLD = """
import sys, time
from pathlib import Path
from personadesk.store.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(kind="other"), flush=True)
time.sleep(60)
"""


def test_one_at_a_time_and_the_next_after_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.lock"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(kind="window")
    assert first.acquire()
    assert not second.acquire()
    assert second.holder() == first.holder()
    holder = second.holder()
    assert holder is not None
    assert (holder["pid"], holder["kind"]) == (os.getpid(), "window")
    first.release()
    first.release()
    assert second.holder() is None
    assert second.acquire()
    second.release()


def test_nobody_holds_what_was_never_locked(tmp_path: Path) -> None:
    assert FileLock(tmp_path / "a.lock").holder() is None


def test_a_file_without_a_holder_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text('{"pid": 1}')
    lock = FileLock(path)
    assert lock.holder() is None
    assert lock.acquire()
    lock.release()


@pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")
def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "True"
        lock = FileLock(path)
        assert not lock.acquire()
        holder = lock.holder()
        assert holder is not None
        assert (holder["pid"], holder["kind"]) == (other.pid, "other")
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert lock.holder() is None
        assert lock.acquire()
        lock.release()


def test_each_purpose_has_a_lock_of_its_own() -> None:
    places = {window_lock(folders()).path, lines_lock(folders()).path,
              deploy_lock(folders(), "pd-1").path, deploy_lock(folders(), "pd-2").path}  # fmt: skip
    assert len(places) == 4
