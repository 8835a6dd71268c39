"""`personadesk memory`: what is held against hosts, offers and regions that did badly, and how it is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.domain.errors import NotFound
from personadesk.domain.text import T
from personadesk.language import show, tr
from personadesk.providers import catalog

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.deploy.rented.memory import Memory
    from personadesk.domain.reputation import Doubt


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        memory = services.rentals.memory
        if arguments.action == "forget":
            await _forget(memory, arguments)
        reputation = await memory.reputation()
    finally:
        await services.close()
    doubts, now = reputation.all(), reputation.now
    if arguments.json:
        print_json({"held_against": [doubt_dict(each, now) for each in doubts]})
        return 0
    words = [f"{_about(each)}: {doubt_words(each, now)}" for each in doubts]
    print("\n".join(words) or tr("Nothing is held against any host, offer or region."))
    return 0


async def _forget(memory: Memory, arguments: argparse.Namespace) -> None:
    if arguments.all:
        await memory.forget_all()
        return
    known = {each.subject.key: each for each in (await memory.reputation()).all()}
    for key in arguments.key:
        if key not in known:
            raise NotFound(
                T("Nothing is held against “{name}”.", name=key),
                T("Look at what is with: personadesk memory"),
                cause="not_held",
            )
    await memory.forget(known[key] for key in arguments.key)


def doubt_dict(doubt: Doubt, now: float) -> dict[str, Any]:
    """Return what is held against something as `--json` prints it."""
    return {
        "key": doubt.subject.key, "scope": str(doubt.subject.scope), "provider": doubt.subject.provider,
        "name": doubt.subject.name, "kind": str(doubt.kind), "at": doubt.at, "until": doubt.until,
        "times": doubt.times, "left_alone": doubt.leaves_alone, "why": str(doubt.why(now)),
    }  # fmt: skip


def doubt_words(doubt: Doubt, now: float) -> str:
    """Return the same for a person, with the word by which it can be forgotten."""
    return f"{show(doubt.why(now))}  [{doubt.subject.key}]"


def _about(doubt: Doubt) -> str:
    title = catalog.facts(doubt.subject.provider).title
    return ", ".join(part for part in (title, doubt.gpu, doubt.place) if part)
