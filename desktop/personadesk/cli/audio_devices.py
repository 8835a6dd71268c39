"""`personadesk audio-devices`: the microphones and loudspeakers of this computer, as they are at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.cli.running import print_json
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """List them; returns 0, also where there are none."""
    from personadesk.voice.devices import list_devices

    found = list_devices()
    if arguments.json:
        print_json(
            {
                key: [{"name": d.name, "is_default": d.is_default} for d in devices]
                for key, devices in (("inputs", found.inputs), ("outputs", found.outputs))
            }
            | {"reason": str(found.reason)}
        )
        return 0
    for title, devices in ((tr("Microphones"), found.inputs), (tr("Loudspeakers"), found.outputs)):
        print(f"{title}:")
        for device in devices:
            usual = tr("(default)") if device.is_default else ""
            print(f"  {device.name} {usual}".rstrip())
        if not devices:
            print(f"  {tr('none')}")
    if found.reason:
        print(show(found.reason))
    return 0
