"""A whole rehearsal by the terminal, with real machines: what the tests that take minutes have in common."""

from __future__ import annotations

import json
import subprocess
import sys
import time

UP_SECONDS = 240.0
PATIENCE = 3


def personadesk(*words: str) -> tuple[int, dict]:
    """Type a command; returns its exit status and its last line as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "personadesk", *words, "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    assert lines, (words, done.returncode, done.stderr)
    return done.returncode, json.loads(lines[-1])


def did(*words: str) -> dict:
    """Type a command that must work."""
    code, answer = personadesk(*words)
    assert code == 0, (words, answer)
    return answer


def talks(url: str) -> None:
    """Hold a voice test; on a busy computer it may only warn, or need another try."""
    for _ in range(PATIENCE):
        _, answer = personadesk("voice-test", url)
        if answer.get("verdict") in {"pass", "warn"}:
            return
    raise AssertionError(answer)


def rent(provider: str, port: str, *words: str) -> dict:
    """Deploy the rehearsal model to a rented machine, behind the line "a"."""
    code, made = 0, {}
    for _ in range(PATIENCE):
        code, made = personadesk(
            "deploy",
            "--account",
            provider,
            "--model",
            "rehearsal",
            "--port",
            port,
            "--line",
            "a",
            *words,
        )
        # A computer that is busy with other things is too slow to talk with, and that is then the truth.
        if (made.get("error") or {}).get("cause") != "voice_slow":
            break
    assert made.get("verdict") in {"pass", "warn"}, (code, made)
    return made


def until(line: str, state: str, seconds: float = UP_SECONDS) -> dict:
    """Wait until a line is so; returns what it tells."""
    began = time.monotonic()
    while (told := did("line", "show", line))["state"] != state:
        assert time.monotonic() - began < seconds, told
        time.sleep(2.0)
    return told
