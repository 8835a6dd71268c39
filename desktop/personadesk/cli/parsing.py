"""The parser of the command line in the user's language: argparse speaks only English by itself."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from personadesk.language import LANGUAGES, mark, tr

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTION = "--language"

_MESSAGES = (
    mark("the following arguments are required: {names}"),
    mark("unrecognized arguments: {words}"),
    mark("one of the arguments {names} is required"),
    mark("argument {name}: expected one argument"),
    mark("argument {name}: expected at least one argument"),
    mark("argument {name}: invalid choice: {value} (choose from {choices})"),
    mark("argument {name}: invalid int value: {value}"),
    mark("argument {name}: invalid float value: {value}"),
    mark("argument {name}: not allowed with argument {other}"),
    mark("ambiguous option: {option} could match {matches}"),
)
"""What argparse says of words that it does not understand; what it says else stays English."""


class Formatter(argparse.HelpFormatter):
    """Help whose usage begins with the language's word for it."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """Add the usage; argparse itself asks for other beginnings, which stay."""
        super().add_usage(usage, actions, groups, tr("usage: ") if prefix is None else prefix)


class RawFormatter(Formatter, argparse.RawDescriptionHelpFormatter):
    """The same, with the lines of descriptions as they are."""


class Parser(argparse.ArgumentParser):
    """A parser whose own words are in the user's language; those of its commands are of the same kind."""

    def __init__(
        self, prog: str | None = None, *, formatter_class: Any = Formatter, **more: Any
    ) -> None:
        super().__init__(prog, formatter_class=formatter_class, add_help=False, **more)
        self._positionals.title = tr("positional arguments")
        self._optionals.title = tr("options")
        self.add_argument(
            "-h", "--help", action="help", default=argparse.SUPPRESS,
            help=tr("show this help message and exit"),
        )  # fmt: skip

    def error(self, message: str) -> NoReturn:
        """Say what was not understood, and end with 2."""
        self.print_usage(sys.stderr)
        told = tr("{program}: error: {message}", program=self.prog, message=_translated(message))
        self.exit(2, f"{told}\n")


class Command(Parser):
    """The parser of one command, which takes the language as well; the help of all commands tells of it."""

    def __init__(self, prog: str | None = None, **more: Any) -> None:
        super().__init__(prog, **more)
        self.add_argument(
            OPTION, choices=tuple(LANGUAGES), default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )


def _translated(message: str) -> str:
    for template in _MESSAGES:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(template))
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found is not None:
            return tr(template, **found.groupdict())
    return message
