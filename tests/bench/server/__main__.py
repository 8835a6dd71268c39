"""The voice server's benchmark: `personaplex-server bench` with the reference kept in this checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from personaplex_server.bench import command

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Measure; the table goes to stderr, and one JSON object is the last line on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    command.add_arguments(parser)
    parser.set_defaults(reference_dir=ROOT / ".bench")
    return command.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
