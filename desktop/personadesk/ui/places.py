"""The places of the side bar by name."""

from __future__ import annotations

from typing import Final

__all__ = ["DEPLOY", "HOME", "TALK"]

HOME: Final = "home"
DEPLOY: Final = "deploy"
TALK: Final = "talk"
