"""`personadesk persona …` and `personadesk voices …`: who answers, as in the voice console."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.domain.errors import NotFound
from personadesk.domain.persona import BUILT_IN, Persona, Sampling, checked
from personadesk.domain.text import T
from personadesk.language import tr
from personadesk.store.personas import PersonaStore, read_shared, write_shared

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda _stop: _once(arguments), as_json=arguments.json)


async def _once(arguments: argparse.Namespace) -> int:
    services = await open_services(serve_lines=False)
    try:
        if arguments.command == "voices":
            return await _voices(services, arguments)
        return await _personas(PersonaStore(services.database), arguments)
    finally:
        await services.close()


async def _personas(store: PersonaStore, arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "list":
            saved = await store.all()
            _tell_all(saved, as_json=arguments.json)
        case "show":
            _tell(await _find(store, arguments.name), as_json=arguments.json)
        case "save":
            persona = checked(_from_words(arguments))
            await store.put(persona)
            _tell(persona, as_json=arguments.json)
        case "import":
            persona = await asyncio.to_thread(read_shared, _path(arguments.file))
            if arguments.name:
                persona = checked(replace(persona, name=arguments.name))
            await store.put(persona)
            _tell(persona, as_json=arguments.json)
        case "export":
            persona = await _find(store, arguments.name)
            await asyncio.to_thread(write_shared, _path(arguments.file), persona)
            _tell(persona, as_json=arguments.json)
        case _:
            there = await store.remove(arguments.name)
            if not there:
                raise _unknown(arguments.name)
            if arguments.json:
                print_json({"removed": arguments.name})
            else:
                print(tr("{name} is gone.", name=arguments.name))
    return 0


def _from_words(arguments: argparse.Namespace) -> Persona:
    given = {each.name: getattr(arguments, each.name) for each in fields(Sampling)}
    sampling = replace(
        Sampling(), **{key: value for key, value in given.items() if value is not None}
    )
    return Persona(arguments.name, arguments.text, arguments.voice, sampling)


async def _find(store: PersonaStore, name: str) -> Persona:
    for persona in (*await store.all(), *BUILT_IN):
        if persona.name.casefold() == name.casefold():
            return persona
    raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(
        T("There is no persona named {name}.", name=name),
        T("Look at them with: personadesk persona list"),
        cause="no_persona",
    )


def _tell(persona: Persona, *, as_json: bool) -> None:
    if as_json:
        print_json({"persona": asdict(persona)})
    else:
        print(persona.as_json(), end="")


def _tell_all(saved: tuple[Persona, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "personas": [asdict(each) | {"built_in": False} for each in saved]
                + [asdict(each) | {"built_in": True} for each in BUILT_IN]
            }
        )
        return
    for each in (*saved, *BUILT_IN):
        print(f"{each.name}: {' '.join(each.text.split())[:80]}")


async def _voices(services: Services, arguments: argparse.Namespace) -> int:
    from personadesk.voice import voices

    token = os.environ.get(arguments.token_env) if arguments.token_env else None
    url = arguments.line
    line = next((each for each in services.lines.lines() if each.name == url), None)
    if line is not None:
        url = line.target.url if line.target is not None else line.url
    elif (kept := await services.foreign.callee(url)) is not None:
        url, token = kept.url, token or kept.token or None
    if arguments.add:
        path = _path(arguments.add)
        made = await services.add_voice(url, arguments.name or path.stem, path, token)
        if arguments.json:
            print_json({"added": asdict(made)})
        else:
            print(tr("{name} can be spoken with.", name=made.name))
        return 0
    found = await voices.of_server(url, token)
    if arguments.json:
        print_json({"voices": [asdict(each) for each in found.voices], "default": found.default})
    else:
        for each in found.voices:
            usual = tr("(the usual one)") if each.name == found.default else ""
            print(f"{each.name}: {each.label} {usual}".rstrip())
    return 0


def _path(typed: str) -> Path:
    return Path(typed).expanduser()
