#!/usr/bin/env python3
"""Set PersonaDesk up in this folder and start it, test it or measure it, with nothing but Python itself.

An old Python must still be able to read this file and get a sentence, so it keeps to old syntax and
holds no work of its own: that is in `_setup/`, next to it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the very reason for this file
    sys.exit(
        "PersonaDesk needs Python 3.11 or newer; this is Python %d.%d. "  # noqa: UP031 - old syntax
        "Install a newer Python from python.org or your system's packages, then start this command "
        "with it, for example: python3.12 packaging/bootstrap.py run" % sys.version_info[:2]
    )

from _setup.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
