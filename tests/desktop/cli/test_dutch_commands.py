"""The terminal in Dutch: how the language is chosen, what people read, and what programs read in any language."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from personadesk import language
from personadesk.__main__ import main
from personadesk.cli import chosen_language, words
from personadesk.cli.main import parser
from personadesk.domain.account import Right
from personadesk.domain.budget import Act, Period
from personadesk.domain.guarding import Deed
from personadesk.domain.line import LineState
from personadesk.domain.machine import MachineState, ResourceKind
from personadesk.domain.offer import Stock
from personadesk.domain.report import Verdict
from personadesk.domain.wish import Rest
from personadesk.store import paths
from personadesk.voice.talk_view import TalkState

Said = tuple[int, str, str]


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """No test leaves its language to the next."""
    yield
    language.use("en")


@pytest.fixture
def type_(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """Types a command; returns its exit status, stdout and stderr."""

    # A command of the rehearsal sets it for its own process, which here is that of all tests.
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "0")

    def type_(*typed: str, language: str = "nl") -> Said:
        monkeypatch.setenv(chosen_language.VARIABLE, language)
        try:
            code = main(list(typed))
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return type_


@pytest.mark.parametrize(
    ("typed", "environment", "chosen"),
    [
        (["status"], {}, "en"),
        (["status"], {"LANG": "C"}, "en"),
        (["status"], {"LANG": "POSIX", "LC_ALL": ""}, "en"),
        (["status"], {"LANG": "nl_NL.UTF-8"}, "nl"),
        (["status"], {"LANG": "nl_NL", "LC_MESSAGES": "en_GB"}, "en"),
        (["status"], {"LANG": "nl_NL", "LC_ALL": "de_DE.UTF-8"}, "en"),
        (["status"], {"LANG": "en_US", "LC_MESSAGES": "C", "LC_ALL": "nl_BE"}, "nl"),
        (["status"], {"LANG": "nl_NL", "PERSONADESK_LANGUAGE": "en"}, "en"),
        (["status"], {"LANG": "en_US", "PERSONADESK_LANGUAGE": "nl"}, "nl"),
        (["--language", "nl", "status"], {"PERSONADESK_LANGUAGE": "en"}, "nl"),
        (["--lang=nl", "status"], {}, "nl"),
        (["--rehearsal", "--language", "nl", "status"], {}, "nl"),
        (["status", "--json", "--language", "nl"], {}, "nl"),
        (["status", "--language=en"], {"PERSONADESK_LANGUAGE": "nl"}, "en"),
        (["line", "list", "--l", "nl"], {}, "en"),
        (["--language"], {}, "en"),
    ],
)
def test_the_first_that_says_a_language_decides(
    typed: list[str], environment: dict[str, str], chosen: str
) -> None:
    assert chosen_language.find(typed, environment) == chosen


def test_the_language_of_the_app_counts_before_the_computers(personadesk_home: Path) -> None:
    file = personadesk_home / "config" / "settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text('language = "nl"\n', encoding="utf-8")
    assert chosen_language.find(["status"], {"LANG": "en_US"}) == "nl"
    assert chosen_language.find(["status"], {"PERSONADESK_LANGUAGE": "en"}) == "en"
    file.write_text('language = "system"\n', encoding="utf-8")
    assert chosen_language.find(["status"], {"LANG": "nl_NL"}) == "nl"


@pytest.mark.parametrize("broken", [b"language = ", b"\xff\xfe", b"language = 3\n"])
def test_settings_that_cannot_be_read_are_left_for_whoever_opens_them(
    personadesk_home: Path, broken: bytes
) -> None:
    file = personadesk_home / "config" / "settings.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes(broken)
    assert chosen_language.find(["status"], {"LANG": "nl_NL"}) == "nl"
    assert file.read_bytes() == broken


def test_a_variable_with_another_language_is_told_and_passed_over(
    type_: Callable[..., Said],
) -> None:
    code, said, told = type_("status", language="xx")
    assert (code, said) == (0, "No lines yet. To make one: personadesk deploy\n")
    assert "PERSONADESK_LANGUAGE is “xx”, which is none of: en, nl." in told


def test_results_are_told_in_dutch(type_: Callable[..., Said]) -> None:
    assert type_("status")[1] == "Nog geen lijnen. Een maken: personadesk deploy\n"
    assert type_("stop")[1] == "Er draaide niets.\n"
    assert type_("calls", "list")[1] == "Geen bewaarde gesprekken.\n"
    assert type_("host", "list")[1] == "Nog geen servers. Een toevoegen: personadesk host add\n"
    assert type_("memory")[1].startswith("Er wordt geen enkele host, ")
    assert type_("metrics", "webhook")[1] == "Alarmen gaan naar geen webhook.\n"
    assert type_("status", "--language", "en")[1].startswith("No lines yet.")


def test_money_is_written_with_the_languages_decimals(type_: Callable[..., Said]) -> None:
    assert "Nu $0,000 per uur, vandaag $0,00, deze maand $0,00" in type_("money")[1]
    assert type_("budget", "set", "--per-month", "12.5")[0] == 0
    told = type_("budget", "show")[1]
    assert "alles: $0,00 van $12,50 per maand (0%); dan stoppen" in told
    assert "Er draait nu niets dat het zou stoppen." in told


def test_a_line_is_told_in_dutch(
    type_: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object) -> int:
        return 0

    monkeypatch.setattr("personadesk.app.Services.hand_over", nobody)
    code, said, _ = type_("line", "create", "balie", "--place", "local", "--max-price", "0.6")
    assert code == 0
    assert said.startswith("balie: gestopt sinds ")
    assert "moet zijn: slaapt, op local, hoogstens $0,60 per uur" in said
    assert type_("line", "delete", "balie")[1] == "De lijn “balie” is weg.\n"


def test_errors_are_told_in_dutch_to_people_and_in_english_to_programs(
    type_: Callable[..., Said],
) -> None:
    code, said, told = type_("line", "show", "niemand", "--json")
    assert code == 1
    error = json.loads(said)["error"]
    assert error["message"] == "There is no line called “niemand”."
    assert told.splitlines()[0] == "Er is geen lijn die “niemand” heet."


def test_words_that_are_not_understood_are_told_in_dutch(type_: Callable[..., Said]) -> None:
    for typed, told in (
        (["demo", "--port", "x"], "argument --port: geen geheel getal: 'x'"),
        (["line", "show"], "deze argumenten zijn nodig: name"),
        (["status", "--what"], "onbekende argumenten: --what"),
        (["line", "open", "x", "--tls", "y"], "argument --tls: ongeldige keuze: 'y' (kies uit "),
        (["voice-test", "ws://x", "--clip"], "argument --clip: hier hoort één waarde bij"),
    ):
        code, _, said = type_(*typed)
        assert code == 2
        assert said.startswith("gebruik: personadesk")
        assert told in said


@pytest.mark.parametrize(
    "typed",
    [
        ["status"], ["line", "list"], ["line", "show", "x"], ["stop"], ["host", "list"], ["money"],
        ["accounts", "providers"], ["accounts", "list"], ["memory"], ["calls", "list"],
        ["persona", "list"], ["budget", "show"], ["rehearsal", "status"], ["deploy", "--undo", "x"],
        ["voice-compare", "ws://127.0.0.1:9/", "ws://127.0.0.1:9/"], ["offers", "--max-price", "x"],
    ],
)  # fmt: skip
def test_what_programs_read_is_the_same_in_every_language(
    type_: Callable[..., Said], typed: list[str]
) -> None:
    first = type_(*typed, "--json", language="en")
    second = type_(*typed, "--json", language="nl")
    assert _lasting(first) == _lasting(second)


def _lasting(said: Said) -> tuple[int, object]:
    """Return what two runs of a command must have alike: not the moment, nor how long it took."""
    told = json.loads(said[1].splitlines()[-1])
    return said[0], {key: told[key] for key in told if key not in {"at", "seconds", "pid"}}


@pytest.mark.parametrize("code", ["en", "nl", language.PSEUDO])
def test_the_help_of_every_command_can_be_read_in_every_language(code: str) -> None:
    language.use(code)
    seen = 0
    waiting: list[argparse.ArgumentParser] = [parser()]
    while waiting:
        each = waiting.pop()
        assert each.format_help()
        seen += 1
        for action in each._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
    assert seen > 60


def test_help_is_dutch_from_its_first_word_to_its_last(type_: Callable[..., Said]) -> None:
    code, said, _ = type_("line", "sleep", "--help")
    assert code == 0
    assert said.startswith("gebruik: personadesk line sleep")
    for told in (
        "De stem stoppen, en de machine waar dat geld spaart; een beller wekt haar.",
        "de naam van de lijn", "één JSON-object tonen", "voorbeelden:\n", "Eindigt met 0",
        "deze hulp tonen en eindigen",
    ):  # fmt: skip
        assert told in said
    assert "show this help" not in said


@pytest.mark.parametrize(
    "kind",
    [
        Act,
        Deed,
        LineState,
        MachineState,
        Period,
        ResourceKind,
        Rest,
        Right,
        Stock,
        TalkState,
        Verdict,
    ],
)
def test_every_stable_word_that_people_meet_has_a_translation(kind: type[StrEnum]) -> None:
    # The guardian's "nothing" is told as "up again".
    assert {str(each) for each in kind} - {"nothing"} <= words.KNOWN
    language.use("nl")
    same = {"volume", "firewall", "terminal"}
    assert all(words.word(each) != each for each in kind if each not in same | {"nothing"})
