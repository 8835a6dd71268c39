"""Sizes and times as people read them, for the steps."""

from __future__ import annotations

from personadesk.domain.quantity import duration, size

__all__ = ["duration", "size"]
