"""PersonaDesk: a voice on a GPU, reachable under one address that never changes."""

import time

__version__ = "0.1.0"

STARTED = time.monotonic()
"""When this program began; commands that tell how long they took count from here."""
