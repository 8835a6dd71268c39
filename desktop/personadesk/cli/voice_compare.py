"""`personadesk voice-compare`: the same clip to two or more voices, side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from personadesk.cli.result import seconds
from personadesk.cli.running import FAILED, of, print_json, run_command
from personadesk.cli.voice_test import opened, teller, token_of, until_stopped
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.voice.compare import Comparison


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 when every voice could be called."""
    return run_command(
        lambda stop: until_stopped(_compare(arguments), stop), as_json=arguments.json
    )


async def _compare(arguments: argparse.Namespace) -> int:
    from personadesk.voice import clips, compare, compare_report

    token = token_of(arguments.token_env)
    clip = await asyncio.to_thread(clips.find, arguments.clip)
    async with opened() as services:
        callees = [await services.callee(word) for word in arguments.voice]
        found = await compare.compare(
            callees, clip, rounds=arguments.rounds, token=token, on_progress=teller()
        )
    folder = None
    if arguments.save:
        page = await asyncio.to_thread(compare_report.save, found, arguments.save, translate=show)
        folder = str(page.parent)
    if arguments.json:
        told: dict[str, Any] = compare_report.as_dict(found)
        print_json({"seconds": seconds(), "report": folder, **told})
    else:
        print(
            "\n".join(
                [*_words(found), *([tr("Report: {folder}", folder=folder)] if folder else [])]
            )
        )
    return FAILED if any(side.error is not None for side in found.sides) else 0


def _words(found: Comparison) -> list[str]:
    from personadesk.voice.compare import shown

    names = [side.callee.name for side in found.sides]
    cells = [
        [
            show(shown(row, value)) + (f" {tr('best')}" if row.best == index else "")
            for index, value in enumerate(row.values)
        ]
        for row in found.rows
    ]
    titles = [show(row.title) for row in found.rows]
    first = max(map(len, titles), default=0)
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [show(found.sentence), ""]
    for title, row in zip(["", *titles], [names, *cells], strict=True):
        told = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{title.ljust(first)}  {told}".rstrip())
    lines += [of(side.callee.name, side.error) for side in found.sides if side.error is not None]
    return lines
