"""Prices as they are billed, in dollars, written as the language writes numbers: `$0.75`, `$ 0,75`."""

from __future__ import annotations

from personadesk.ui.i18n import language

__all__ = ["dollars"]


def dollars(amount: float) -> str:
    """Return an amount of dollars."""
    locale = language().locale
    number = locale.toString(float(amount), "f", 2)
    # Dutch sets the sign apart.
    return f"$ {number}" if locale.decimalPoint() == "," else f"${number}"
