"""A conversation written down in turns, which a voice test plays: say this, wait for the answer, break in, be silent.

A script is a TOML file:

    name = "Asks twice and breaks in"
    persona = "You enjoy having a good conversation."     # may be left out, as may the voice
    voice = "NATF2.pt"

    [[turn]]
    say = "question"              # a clip that PersonaDesk brings along, or a file beside the script
    reply_within = 1.2            # seconds; may be left out

    [[turn]]
    wait = "reply"                # until the voice has answered and paused
    at_most = 10

    [[turn]]
    interrupt = "interruption"    # said once the voice has spoken for `after` seconds
    after = 1.5
    stops_within = 1.0

    [[turn]]
    silence = 5                   # seconds in which nothing is said
    talks_at_most = 0.5           # and the voice says no more than this
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from personadesk import resources
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.text import T
from personadesk.voice import clips

if TYPE_CHECKING:
    import os

    from personadesk.domain.text import Text
    from personadesk.voice.clips import Clip

REPLY_WITHIN: Final = 1.2
"""Seconds; as the first sound of a call: people expect an answer within about a second."""
STOPS_WITHIN: Final = 1.0
"""Seconds a voice may go on when somebody breaks in; people yield within half a second and notice a whole one."""
TALKS_AT_MOST: Final = 0.5
"""Seconds a voice may speak into a silence: a breath or an "mm-hm", no sentence."""
WAIT_AT_MOST: Final = 15.0
LONGEST_SECONDS: Final = 600.0
MOST_TURNS: Final = 100
LARGEST_FILE: Final = 100_000

BUNDLED: Final = "conversation"

_EXAMPLE = T("docs/voice-tests.md has an example for each kind of turn.")


@dataclass(frozen=True, slots=True)
class Say:
    """Say a clip; the answer shall begin `reply_within` seconds after its last word."""

    clip: Clip
    reply_within: float = REPLY_WITHIN


@dataclass(frozen=True, slots=True)
class Wait:
    """Say nothing until the voice has spoken and paused, or `at_most` seconds are over."""

    at_most: float = WAIT_AT_MOST


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Say a clip once the voice has spoken for `after` seconds; it shall fall silent `stops_within` seconds after.

    One that says nothing for `at_most` seconds is not interrupted.
    """

    clip: Clip
    after: float = 1.0
    stops_within: float = STOPS_WITHIN
    at_most: float = WAIT_AT_MOST


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing for `seconds`; the voice shall speak no more than `talks_at_most` of them."""

    seconds: float
    talks_at_most: float = TALKS_AT_MOST


Turn = Say | Wait | Interrupt | Silence


@dataclass(frozen=True, slots=True)
class Script:
    """Turns in their order.

    Attributes:
        name: For reports.
        turns: What to do.
        query: Parameters of the call: persona and voice, where the script names them.
    """

    name: str
    turns: tuple[Turn, ...]
    query: tuple[tuple[str, str], ...] = ()

    @property
    def most_seconds(self) -> float:
        """How long it takes when the voice lets us wait each time."""
        return sum(map(_most_seconds, self.turns))


def find(word: str) -> Script:
    """Return the script that PersonaDesk brings along (`conversation`), or read a file; see `load`."""
    return load(resources.path("clips", f"{BUNDLED}.toml") if word == BUNDLED else word)


def load(path: str | os.PathLike[str]) -> Script:
    """Read a script; clips that are files are looked for beside it.

    Raises:
        NotFound: The file or a clip of it is missing.
        BadRequest: It cannot be used; the sentence names the turn and what is wrong with it.
    """
    file = Path(path).expanduser()
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise _bad(T("{name} is too large for a script.", name=file.name))
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(T("There is no file {path}.", path=str(file)), _EXAMPLE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(T("{path} cannot be read.", path=str(file)), str(error)) from error
    return parse(text, file.name, file.parent)


def parse(text: str, name: str, folder: Path | None = None) -> Script:
    """Read a script from its text; see `load`."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(
            T("{name} is not written as a script is: {why}.", name=name, why=str(error))
        ) from None
    unknown = set(told) - {"name", "persona", "voice", "turn"}
    if unknown:
        raise _bad(T("{name} has “{key}”, which no script has.", name=name, key=min(unknown)))
    for key in ("name", "persona", "voice"):
        if not isinstance(told.get(key, ""), str):
            raise _bad(T("“{key}” in {name} must be text.", key=key, name=name))
    rows = told.get("turn")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise _bad(T("{name} has no turns; each begins with [[turn]].", name=name))
    if len(rows) > MOST_TURNS:
        raise _bad(T("{name} has more than {most} turns.", name=name, most=MOST_TURNS))
    turns = tuple(_Row(name, number, row, folder).turn() for number, row in enumerate(rows, 1))
    if not any(isinstance(turn, Say | Silence) for turn in turns[:1]):
        raise _bad(T("{name} must begin with a turn that says something or is silent.", name=name))
    query = {"text_prompt": told.get("persona"), "voice_prompt": told.get("voice")}
    script = Script(
        told.get("name") or Path(name).stem,
        turns,
        tuple((key, value) for key, value in query.items() if value),
    )
    if script.most_seconds > LONGEST_SECONDS:
        raise _bad(T("{name} may last longer than 10 minutes; make it shorter.", name=name))
    return script


class _Row:
    """One `[[turn]]`, and what is wrong with it in words."""

    def __init__(self, script: str, number: int, row: dict[str, Any], folder: Path | None) -> None:
        self._script, self._number, self._row, self._folder = script, number, row, folder

    def turn(self) -> Turn:
        kinds = {"say", "wait", "interrupt", "silence"} & self._row.keys()
        if len(kinds) != 1:
            raise self._wrong(T("it needs exactly one of say, wait, interrupt or silence"))
        kind = kinds.pop()
        allowed = {
            "say": ("reply_within",),
            "wait": ("at_most",),
            "interrupt": ("after", "stops_within", "at_most"),
            "silence": ("talks_at_most",),
        }[kind]
        unknown = self._row.keys() - {kind, *allowed}
        if unknown:
            raise self._wrong(T("“{key}” does not go with “{kind}”", key=min(unknown), kind=kind))
        if kind == "say":
            return Say(self._clip(kind), self._seconds("reply_within", REPLY_WITHIN, 30))
        if kind == "wait":
            if self._row["wait"] != "reply":
                raise self._wrong(T("the only thing to wait for is “reply”"))
            return Wait(self._seconds("at_most", WAIT_AT_MOST, 120))
        if kind == "interrupt":
            return Interrupt(
                self._clip(kind),
                self._seconds("after", 1.0, 60),
                self._seconds("stops_within", STOPS_WITHIN, 30),
                self._seconds("at_most", WAIT_AT_MOST, 120),
            )
        seconds = self._seconds("silence", 0, 120)
        return Silence(seconds, self._seconds("talks_at_most", TALKS_AT_MOST, 120, least=0.0))

    def _clip(self, key: str) -> Clip:
        value = self._row[key]
        if not isinstance(value, str) or not value:
            raise self._wrong(T("“{key}” must name a clip", key=key))
        try:
            return clips.find(value, self._folder)
        except (BadRequest, NotFound) as error:
            raise type(error)(
                T("Turn {number} of {script}: {why}", number=self._number,
                  script=self._script, why=error.what),
                error.next, cause=error.cause, details=error.details,
            ) from None  # fmt: skip

    def _seconds(self, key: str, usual: float, most: float, least: float = 0.1) -> float:
        value = self._row.get(key, usual)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(T("“{key}” must be a number of seconds", key=key))
        if not least <= value <= most:
            raise self._wrong(
                T("“{key}” must lie between {least} and {most} seconds", key=key, least=least,
                  most=most)
            )  # fmt: skip
        return float(value)

    def _wrong(self, why: Text) -> BadRequest:
        return _bad(
            T("Turn {number} of {script}: {why}.", number=self._number, script=self._script,
              why=why)
        )  # fmt: skip


def _most_seconds(turn: Turn) -> float:
    match turn:
        case Say(clip):
            return clip.seconds
        case Interrupt(clip, _, _, at_most):
            return clip.seconds + at_most
        case Wait(at_most):
            return at_most
        case Silence(seconds):
            return seconds


def _bad(what: Text, details: str = "") -> BadRequest:
    return BadRequest(what, _EXAMPLE, cause="script", details=details)
