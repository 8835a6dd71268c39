"""PersonaDesk: a voice on a GPU, reachable under one address that never changes."""

__version__ = "0.1.0"
