"""What the steps of a deploy say: sizes and times as people read them, and failures with their raw words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.quantity import duration, size
from personadesk.domain.text import T

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.text import Text

__all__ = ["duration", "size", "with_details"]


def with_details(error: PersonaDeskError) -> Text:
    """Return what happened with the raw answer, for the log."""
    if not error.details:
        return error.what
    return T("{what} {details}", what=error.what, details=error.details)
