"""The places of the side bar by name."""

from __future__ import annotations

from typing import Final

__all__ = ["ACCOUNTS", "DEPLOY", "HOME", "INSTANCES", "LINES", "MONITOR", "TALK"]

ACCOUNTS: Final = "accounts"
HOME: Final = "home"
DEPLOY: Final = "deploy"
INSTANCES: Final = "instances"
LINES: Final = "lines"
MONITOR: Final = "monitor"
TALK: Final = "talk"
