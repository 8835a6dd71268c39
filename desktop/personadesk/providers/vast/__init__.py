"""Vast.ai, a market of other people's machines, by its web API."""

from personadesk.providers.vast.calls import Vast

__all__ = ["Vast"]
