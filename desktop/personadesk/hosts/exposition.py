r"""Reads Prometheus' text format, version 0.0.4: a page of named figures with labels.

Strict on purpose: a page that is wrong in one place was cut, or is something else, and its other figures would be
taken for true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*')
_END = re.compile(r"[ \t]*}")
_NUMBER = re.compile(r"(?ai)[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf|nan")
"""Narrower than `float`, which also takes `1_000` and other scripts' digits."""
_WHEN = re.compile(r"-?[0-9]+")
_ESCAPE = re.compile(r'\\([\\"n])')


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the page.

    Attributes:
        name: The figure's whole name, such as `personaplex_tick_seconds_sum`.
        labels: What tells it from others of its name, unescaped.
        value: May be NaN or infinite.
    """

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> tuple[Point, ...]:
    """Read a page; comments, types and time stamps are passed over.

    Raises:
        ValueError: A line is not of the format; the message names its number.
    """
    points = []
    # Not splitlines: a label's value may hold its other line ends as they are.
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip(" \t\r")
        if not bare or bare.startswith("#"):
            continue
        try:
            points.append(_point(bare))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}: {bare[:80]!r}") from None
    return tuple(points)


def _point(line: str) -> Point:
    name = _NAME.match(line)
    if name is None:
        raise ValueError("no name")
    labels, at = _labels(line, name.end())
    rest = line[at:]
    if not labels and rest[:1] not in {" ", "\t"} and line[at - 1] != "}":
        raise ValueError("no space after the name")
    words = rest.split()
    if len(words) not in {1, 2} or not _NUMBER.fullmatch(words[0]):
        raise ValueError("no value")
    if len(words) == 2 and not _WHEN.fullmatch(words[1]):
        raise ValueError("no time stamp")
    return Point(name[0], MappingProxyType(labels), float(words[0]))


def _labels(line: str, at: int) -> tuple[dict[str, str], int]:
    """Return the labels that begin at `at`, if any, and where they end."""
    labels: dict[str, str] = {}
    opened = at + len(line[at:]) - len(line[at:].lstrip(" \t"))
    if line[opened : opened + 1] != "{":
        return labels, at
    at = opened + 1
    while (end := _END.match(line, at)) is None:
        label = _LABEL.match(line, at)
        if label is None or label[1] in labels:
            raise ValueError("labels that cannot be read")
        labels[label[1]] = _ESCAPE.sub(_unescaped, label[2])
        at = label.end()
        if line[at : at + 1] == ",":
            at += 1
        elif _END.match(line, at) is None:
            raise ValueError("labels that do not end")
    return labels, end.end()


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
