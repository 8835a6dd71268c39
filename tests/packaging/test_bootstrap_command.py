"""The command line of bootstrap.py: what it starts, what it says, and what it returns."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from _setup import benches, checks, command, environment, server_bundle
from _setup.console import Trouble
from _setup.exclusive import exclusive
from _setup.layout import Layout, has_display

pytest_plugins = ["pytester"]

STAND_IN = '#!/bin/sh\necho "$@"\nexit 7\n'


@pytest.fixture
def ready(checkout: Layout, programs: Path) -> Layout:
    """A checkout that counts as set up; its Python only says how it was called, and exits with 7."""
    checkout.python.parent.mkdir(parents=True)
    checkout.python.write_text(STAND_IN, encoding="utf-8")
    checkout.python.chmod(0o755)
    environment.write_stamp(checkout, dev=True, window=True)
    server_bundle.ensure_bundle(checkout)
    dpkg = programs / "dpkg-query"
    dpkg.write_text(
        '#!/bin/sh\nshift 3\nfor each; do echo "$each installed"; done\n', encoding="utf-8"
    )
    dpkg.chmod(0o755)
    return checkout


def bootstrap(layout: Layout, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    return subprocess.run(
        [sys.executable, str(layout.root / "packaging" / "bootstrap.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={**kept, **env},
    )


def test_headless_does_the_main_job_with_the_arguments_that_follow(ready: Layout) -> None:
    done = bootstrap(ready, "run", "--headless", "--json", "--port", "9001", DISPLAY=":7")
    assert (done.returncode, done.stdout) == (7, "-P -m personadesk demo --json --port 9001\n")
    assert done.stderr == ""


def test_without_a_display_the_main_job_is_done_in_the_terminal(ready: Layout) -> None:
    assert bootstrap(ready, "run", "--keep").stdout == "-P -m personadesk demo --keep\n"


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="their display is always there")
def test_with_a_display_the_window_opens(ready: Layout) -> None:
    assert bootstrap(ready, "run", DISPLAY=":7").stdout == "-P -m personadesk\n"
    assert bootstrap(ready, "run", WAYLAND_DISPLAY="wayland-0").stdout == "-P -m personadesk\n"
    assert not has_display() or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")


def test_a_start_that_finds_all_in_place_writes_nothing(ready: Layout) -> None:
    def state() -> dict[Path, int]:
        unwatched = {"__pycache__"}
        return {
            path: path.stat().st_mtime_ns
            for path in ready.root.rglob("*")
            if not unwatched & set(path.parts) and path.is_file()
        }

    before = state()
    bootstrap(ready, "run", "--headless")
    assert state() == before


def test_a_window_that_cannot_load_says_why_and_what_to_do(ready: Layout) -> None:
    ready.python.write_text(
        '#!/bin/sh\necho "ImportError: libEGL.so.1: cannot open" >&2\nexit 1\n', encoding="utf-8"
    )
    environment.write_stamp(ready, dev=True, window=False)
    done = bootstrap(ready, "run", DISPLAY=":7")
    assert done.returncode == 1
    assert "The window cannot be shown: ImportError: libEGL.so.1: cannot open" in done.stderr
    assert "run --headless" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_could_not_be_had_from_the_system_is_not_tried_at_every_start(
    ready: Layout, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    for name, script in {
        "dpkg-query": "exit 1",
        "apt-cache": "exit 1",
        "apt-get": f'echo "$1" >> {calls}; exit 100',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setattr("os.geteuid", lambda: 0, raising=False)

    command.prepare(ready, dev=False)
    assert calls.read_text(encoding="utf-8").split() == ["update", "install"]
    command.prepare(ready, dev=False)
    assert calls.read_text(encoding="utf-8").split() == ["update", "install"]
    command.prepare(ready, dev=True)
    assert calls.read_text(encoding="utf-8").split() == ["update", "install"] * 2


def test_help_tells_the_commands(ready: Layout) -> None:
    done = bootstrap(ready, "--help")
    assert done.returncode == 0
    for word in ("run", "test", "setup", "bench", "lock"):
        assert f"\n  {word} " in done.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["setup", "--everything"], ["lock", "now"]])
def test_a_wrong_command_shows_the_right_ones(ready: Layout, arguments: list[str]) -> None:
    done = bootstrap(ready, *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert done.stdout == ""


def test_setup_that_is_done_says_so(ready: Layout) -> None:
    done = bootstrap(ready, "setup", "--dev")
    assert (done.returncode, done.stderr) == (0, "All is set up.\n")


def test_an_old_python_gets_a_sentence(root: Path) -> None:
    source = (root / "packaging" / "bootstrap.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.version_info = (3, 9, 2)\nexec({source!r})"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert told.stderr.startswith("PersonaDesk needs Python 3.11 or newer; this is Python 3.9.")
    assert "Traceback" not in told.stderr


def test_a_read_only_folder_and_a_full_disk_get_sentences(checkout: Layout) -> None:
    locked = OSError(errno.EROFS, "Read-only file system", str(checkout.venv))
    assert f"{checkout.venv} cannot be written to. Copy" in command.cannot_write(checkout, locked)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "is full" in command.cannot_write(checkout, full)


def test_a_second_setup_waits_for_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "new folder" / "lock"
    order = []

    def second() -> None:
        with exclusive(lock, pause=0.01):
            order.append("second")

    with exclusive(lock):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 10
        while "waiting" not in capsys.readouterr().err:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_every_check_runs_whatever_failed_and_the_last_one_is_told(
    checkout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    def python(code: str) -> list[str | Path]:
        return [sys.executable, "-c", code]

    wanted = [
        checks.Check("first", python("raise SystemExit(3)")),
        checks.Check("second", python("print('second ran')")),
        checks.Check("last", python(f"import os; print(os.environ['{checks.FAILED_VARIABLE}'])")),
    ]
    assert checks.run_checks(checkout, wanted) == 1
    told = capfd.readouterr()
    assert told.out == "second ran\nfirst\n"
    assert "FAILED  first" in told.err
    assert "passed  second" in told.err
    assert checks.run_checks(checkout, wanted[1:]) == 0


def test_what_is_compiled_once_is_kept_for_all_that_the_tests_start(
    checkout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import sys; raise SystemExit(sys.dont_write_bytecode)"
    assert checks.run_checks(checkout, [checks.Check("one", [sys.executable, "-c", code])]) == 0


@pytest.mark.parametrize(("mends", "status"), [(True, 0), (False, 1)])
def test_what_fails_beside_others_is_tried_once_more_alone_and_told(
    checkout: Layout, capfd: pytest.CaptureFixture[str], mends: bool, status: int
) -> None:
    def python(code: str) -> list[str | Path]:
        return [sys.executable, "-c", code]

    again = python(f"print('again'); raise SystemExit({0 if mends else 1})")
    shaky = checks.Check("tests", python("raise SystemExit(1)"), {}, again)
    assert checks.run_checks(checkout, [shaky]) == status
    told = capfd.readouterr()
    assert told.out == "again\n"
    assert ("it is shaky" in told.err) is mends
    # What broke off, or found no test, is not a matter of luck.
    broken = checks.Check("tests", python("raise SystemExit(2)"), {}, again)
    assert checks.run_checks(checkout, [broken]) == 1
    assert capfd.readouterr().out == ""


def test_arguments_go_to_pytest_alone(checkout: Layout) -> None:
    (only,) = checks.checks(checkout, ["-k", "locks"])
    assert only.command == [checkout.python, "-m", "pytest", "-k", "locks"]


def test_each_test_is_in_one_part_of_the_whole_run(
    root: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "cores", lambda: 2)
    whole = checks.checks(Layout(root), [])
    assert whole[0].name == "ruff check"
    assert [check.name for check in whole[-2:]] == ["pytest in real time", "pytest"]
    pytester.makeini("[pytest]\nmarkers =\n    real_time: x\n")
    pytester.makepyfile("""
        import os
        import pytest

        @pytest.mark.real_time
        def test_in_real_time():
            assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "2"

        def test_beside_others():
            assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "3"
    """)
    ran = []
    for check in whole[-2:]:
        words = check.command[check.command.index("pytest") + 1 :]
        done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rpf", *words)
        ran += [line.partition("::")[2] for line in done.outlines if line.startswith("PASSED")]
    assert ran == ["test_in_real_time", "test_beside_others"]


def test_an_unknown_benchmark_names_the_known_ones(checkout: Layout) -> None:
    checkout.benches.mkdir(parents=True)
    (checkout.benches / "deploy.py").touch()
    (checkout.benches / "_shared.py").touch()
    (checkout.benches / "server").mkdir()
    (checkout.benches / "server" / "__main__.py").touch()
    with pytest.raises(Trouble, match=r"Choose one of: deploy, server\.$"):
        benches.run_bench(checkout, ["warp"])


def test_all_benchmarks_give_one_object_as_the_last_line(
    checkout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    checkout.python.parent.mkdir(parents=True)
    checkout.python.symlink_to(sys.executable)
    checkout.benches.mkdir(parents=True)
    good = 'print("table"); print(\'{"seconds": 1.5}\')'
    (checkout.benches / "deploy.py").write_text(good, encoding="utf-8")
    (checkout.benches / "ui.py").write_text("print('no figures')", encoding="utf-8")

    assert benches.run_bench(checkout, []) == 1

    told = capfd.readouterr()
    last = json.loads(told.out.splitlines()[-1])
    assert last == {"deploy": {"seconds": 1.5}, "ui": None}
    assert "The benchmark ui gave no figures." in told.err
