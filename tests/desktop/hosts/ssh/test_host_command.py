from __future__ import annotations

import json
import subprocess
import sys


def _personadesk(*words: str) -> tuple[int, dict, str]:
    done = subprocess.run(
        [sys.executable, "-m", "personadesk", *words, "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "{}"
    return done.returncode, json.loads(last), done.stderr


def test_a_machine_is_added_checked_listed_and_removed(own_sshd):
    words = (
        "host", "add", "box", "--address", own_sshd.address, "--port", str(own_sshd.port),
        "--user", own_sshd.user.name, "--key", str(own_sshd.key),
    )  # fmt: skip
    code, answer, _ = _personadesk(*words)
    assert code == 1
    assert answer["error"]["cause"] == "host_key_unknown"
    fingerprint = answer["fingerprint"]
    assert fingerprint in answer["error"]["message"]
    assert _personadesk("host", "list")[1] == {"hosts": []}

    code, answer, _ = _personadesk(*words, "--fingerprint", fingerprint)
    assert (code, answer["added"], answer["fingerprint"]) == (0, "box", fingerprint)

    code, answer, _ = _personadesk("host", "check", "box", "--model", "rehearsal")
    assert answer["verdict"] in {"fit", "warn", "unfit"}
    assert code == (1 if answer["verdict"] == "unfit" else 0)
    assert answer["facts"]["system"] == "Linux"
    assert all({"about", "level", "message", "next"} == set(each) for each in answer["findings"])

    assert [each["name"] for each in _personadesk("host", "list")[1]["hosts"]] == ["box"]
    code, answer, _ = _personadesk(*words, "--fingerprint", fingerprint)
    assert (code, answer["error"]["cause"]) == (1, "exists")
    assert _personadesk("host", "remove", "box")[:2] == (0, {"removed": "box"})
    code, answer, _ = _personadesk("host", "check", "box")
    assert (code, answer["error"]["cause"]) == (1, "no_host")


def test_a_wrong_address_is_a_sentence(own_sshd):
    code, answer, told = _personadesk("host", "add", "x", "--address", "a b")
    assert code == 1
    assert answer["error"]["cause"] == "bad_address"
    assert "Traceback" not in told
