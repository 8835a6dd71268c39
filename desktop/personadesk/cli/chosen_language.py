"""Which language the terminal speaks: by the word on the line, a variable, the app's setting, or the computer's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from personadesk import language
from personadesk.cli.parsing import OPTION
from personadesk.language import tr
from personadesk.store import paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "PERSONADESK_LANGUAGE"
LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_SHORTEST = len("--l")
"""From where on the beginning of an option stands for the whole; before the command alone."""


def choose(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Let this process speak the language that was asked for, else English."""
    code = find(words, environment)
    language.use(code)
    asked = environment.get(VARIABLE, "")
    if asked and _code(asked) not in language.LANGUAGES:
        print(
            tr(
                "{variable} is “{value}”, which is none of: {languages}. It is passed over.",
                variable=VARIABLE, value=asked, languages=", ".join(language.LANGUAGES),
            ),
            file=sys.stderr,
        )  # fmt: skip


def find(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the code of the language to speak.

    Args:
        words: Of the command line.
        environment: Variables of this process.
    """
    asked = [_asked(words) or "", environment.get(VARIABLE, "")]
    for each in asked:
        if _code(each) in language.LANGUAGES:
            return _code(each)
    # Read only now: whoever asks for a language needs no file.
    chosen = _setting()
    if chosen in language.LANGUAGES:
        return chosen
    # As for every other program: the first that is set decides, also for a language that we do not speak.
    computer = next((found for name in LOCALE_VARIABLES if (found := environment.get(name))), "")
    return _code(computer) if _code(computer) in language.LANGUAGES else "en"


def _asked(words: Sequence[str]) -> str | None:
    """Return the value of the option; what the parser refuses later may be anything."""
    waiting, before = iter(words), True
    for word in waiting:
        name, sign, value = word.partition("=")
        before = before and word.startswith("-")
        if name == OPTION or (before and len(name) >= _SHORTEST and OPTION.startswith(name)):
            return value if sign else next(waiting, None)
    return None


def _code(name: str) -> str:
    """Return `nl` of `nl`, `nl_NL.UTF-8` and `nl-BE`."""
    return name.partition(".")[0].replace("-", "_").partition("_")[0].lower()


def _setting() -> str:
    file = paths.folders().config / "settings.toml"
    if not file.exists():
        return ""
    from personadesk.store.settings import LANGUAGE, peek

    return peek(file, LANGUAGE)
