"""What `--help` and the documentation show can be typed as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from personadesk.cli import line_words
from personadesk.cli.main import parser

DOCS = Path(__file__).parents[3] / "docs"
ACTIONS = sorted(line_words._EXAMPLES)


def documented() -> list[str]:
    """Return the commands of indented rows of the documentation: without remarks, the first of alternatives."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        for row in page.read_text(encoding="utf-8").splitlines():
            if re.match(r" {4,}personadesk ", row):
                command = re.split(r"#|\s{3,}(?=[a-z])", row.strip())[0]
                found.append(command.split(" | ")[0].strip())
    # That opens the window.
    return [command for command in found if command != "personadesk --rehearsal"]


def typed(command: str) -> list[str]:
    """Return a documented command as somebody types it: with its options, and a value for each placeholder."""
    words = shlex.split(re.sub(r"[\[\]]", " ", command))[1:]
    plain = ["9000" if word in {"N", "X", "MINUTES", "HOURS"} else word for word in words]
    return [word if word.startswith("--") else word.split("|")[0] for word in plain]


def understood(words: list[str]) -> bool:
    try:
        parser().parse_args(words)
    except SystemExit as ended:
        return ended.code == 0
    return True


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_examples_that_are_understood(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["line", action, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    shown = re.findall(r"^  personadesk (line .*)$", said, flags=re.MULTILINE)
    assert shown
    for command in shown:
        assert understood(shlex.split(command)), command
    assert "0 when it is done, 1 when it failed" in said
    assert "--json" in said


@pytest.mark.parametrize("command", documented())
def test_what_the_documentation_says_to_type_is_understood(command: str) -> None:
    assert understood(typed(command)), command
