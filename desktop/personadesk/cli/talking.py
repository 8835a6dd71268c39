"""The commands beside the voice console, as the parser knows them; their modules are loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.language import tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `persona`, `voices`, `talk` and `calls`."""
    persona = commands.add_parser(
        "persona", help=tr("who answers: role, voice and sampling, by name")
    )
    actions = persona.add_subparsers(metavar="action", required=True)
    save = actions.add_parser("save", help=tr("save one, in place of any of the same name"))
    save.add_argument("name")
    save.add_argument("--text", default="", help=tr("the role in words, 8000 characters at most"))
    save.add_argument(
        "--voice", default="", metavar="NAME", help=tr("as “personadesk voices” lists it")
    )
    save.add_argument(
        "--seed", type=int, metavar="N", help=tr("the same dice each call (-1: fresh)")
    )
    save.add_argument("--text-temperature", type=float, metavar="X", help=tr("0 to 10 (0.7)"))
    save.add_argument("--audio-temperature", type=float, metavar="X", help=tr("0 to 10 (0.8)"))
    save.add_argument("--text-topk", type=int, metavar="N", help=tr("0 for all (25)"))
    save.add_argument("--audio-topk", type=int, metavar="N", help=tr("0 for all (250)"))
    show = actions.add_parser("show", help=tr("one of them"))
    show.add_argument("name")
    remove = actions.add_parser("remove", help=tr("forget a saved one"))
    remove.add_argument("name")
    brought = actions.add_parser("import", help=tr("save one that somebody shared as a file"))
    brought.add_argument("file")
    brought.add_argument("--name", default="", help=tr("under this name"))
    export = actions.add_parser("export", help=tr("write one as a file to share"))
    export.add_argument("name")
    export.add_argument("file")
    for name, action in (
        ("save", save), ("show", show), ("remove", remove), ("import", brought),
        ("export", export), ("list", actions.add_parser("list", help=tr("all of them"))),
    ):  # fmt: skip
        action.set_defaults(module="personas", command="persona", action=name)
        add_json(action)

    voices = commands.add_parser(
        "voices", help=tr("the voices of a line's server; --add brings one")
    )
    voices.set_defaults(module="personas", command="voices")
    voices.add_argument("line", help=tr("name of a line, or the address of a server"))
    voices.add_argument(
        "--add", metavar="WAV", help=tr("bring this voice: 1 to 30 s of one speaker")
    )
    voices.add_argument("--name", default="", help=tr("with --add: its name (that of the file)"))
    voices.add_argument(
        "--token-env", metavar="NAME", help=tr("variable that holds the access token")
    )
    add_json(voices)

    _add_talk(commands, add_json)
    calls = commands.add_parser("calls", help=tr("the calls that were kept on this computer"))
    deeds = calls.add_subparsers(metavar="action", required=True)
    listed = deeds.add_parser("list", help=tr("all of them, or those with all of these words"))
    listed.add_argument("words", nargs="*", metavar="WORD")
    show = deeds.add_parser("show", help=tr("one of them, with its transcript"))
    note = deeds.add_parser("note", help=tr("replace the notes of one"))
    export = deeds.add_parser(
        "export", help=tr("write its sound (FILE.wav), or its transcript (FILE.srt, or else JSON)")
    )
    delete = deeds.add_parser("delete", help=tr("remove one with all of its files; for good"))
    for name, action in (
        ("list", listed), ("show", show), ("note", note), ("export", export), ("delete", delete),
    ):  # fmt: skip
        action.set_defaults(module="kept_calls", command="calls", action=name)
        if name != "list":
            action.add_argument("name", help=tr("as “personadesk calls list” tells it"))
        add_json(action)
    note.add_argument("text")
    export.add_argument("file")


def _add_talk(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    talk = commands.add_parser("talk", help=tr("hold a conversation, with or without a sound card"))
    talk.set_defaults(module="talk")
    talk.add_argument("voice", help=tr("a line, a machine with one, or an address"))
    talk.add_argument(
        "--microphone",
        metavar="NAME",
        help=tr("as “personadesk audio-devices” lists it; clip for none"),
    )
    talk.add_argument(
        "--loudspeaker",
        metavar="NAME",
        help=tr("as “personadesk audio-devices” lists it; none for none"),
    )
    talk.add_argument("--clip", metavar="FILE", help=tr("what to say without a microphone"))
    talk.add_argument("--echo", action="store_true", help=tr("hear yourself in place of the model"))
    talk.add_argument(
        "--half-duplex", action="store_true", help=tr("mute the microphone while the voice speaks")
    )
    talk.add_argument("--volume", type=float, default=1.0, metavar="X", help=tr("0 to 1 (1)"))
    talk.add_argument("--seconds", type=float, metavar="N", help=tr("hang up after so long"))
    talk.add_argument("--keep", action="store_true", help=tr("record both sides on this computer"))
    talk.add_argument("--opus", action="store_true", help=tr("with --keep: smaller files than WAV"))
    talk.add_argument(
        "--token-env", metavar="NAME", help=tr("variable that holds the access token")
    )
    add_json(talk)
