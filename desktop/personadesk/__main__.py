"""Starts PersonaDesk: the window when nothing is asked for and there is a display, else the terminal's commands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from personadesk.store.paths import REHEARSAL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run PersonaDesk; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--rehearsal"]:
        # Known to every process that this one starts.
        os.environ[REHEARSAL_VARIABLE] = "1"
        words = words[1:]
    if words:
        from personadesk.cli.main import run

        return run(words)
    if not has_display():
        _say_no_display()
        return 2
    from personadesk.ui import start

    return int(start.run())


def _say_no_display() -> None:
    from personadesk.cli import chosen_language
    from personadesk.language import tr

    chosen_language.choose(())
    for sentence in (
        tr("PersonaDesk's window needs a display, and there is none here."),
        tr("Without one, this does the main job in the terminal:  personadesk demo"),
        tr("All commands:  personadesk --help"),
    ):
        print(sentence, file=sys.stderr)


def has_display() -> bool:
    """Whether a window can be shown."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


if __name__ == "__main__":
    sys.exit(main())
