"""docs/server.md says what the command line takes: all of it, and nothing else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from personaplex_server import options
from personaplex_server.fetch import command as fetch
from personaplex_server.fleet import command as fleet

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def taken(*adds: Callable[[argparse.ArgumentParser], None]) -> set[str]:
    found: set[str] = set()
    for add in adds:
        parser = argparse.ArgumentParser(add_help=False)
        add(parser)
        found |= {name for action in parser._actions for name in action.option_strings}
    return found


def block(command: str) -> str:
    """Return the synopsis of a command."""
    (found,) = re.findall(rf"```\n(personaplex-server {command} .*?)```", PAGE, re.DOTALL)
    return found


def test_the_synopsis_of_serve_names_every_option_and_no_other():
    assert set(OPTION.findall(block("serve"))) == taken(options.add_arguments)


def test_every_option_is_explained():
    rest = set(OPTION.findall(PAGE.replace(block("serve"), "")))
    assert taken(options.add_arguments) - rest == {"--verbose"}
    assert not taken(fleet.add_arguments, fetch.add_arguments) - set(OPTION.findall(PAGE))
