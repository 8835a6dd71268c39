"""The places of the side bar by name."""

from __future__ import annotations

from typing import Final

__all__ = ["ACCOUNTS", "DEPLOY", "HOME", "INSTANCES", "LINES", "MONEY", "MONITOR", "TALK"]

ACCOUNTS: Final = "accounts"
HOME: Final = "home"
DEPLOY: Final = "deploy"
INSTANCES: Final = "instances"
LINES: Final = "lines"
MONEY: Final = "money"
MONITOR: Final = "monitor"
TALK: Final = "talk"
