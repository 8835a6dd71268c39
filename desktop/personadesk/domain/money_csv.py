"""Costs as a table for other programs: RFC 4180, decimal points, UTC beside the local day. Pure."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from personadesk.domain.money import HOUR, by_day, clipped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from personadesk.domain.money import Span

COLUMNS = (
    "day_local", "from_utc", "to_utc", "line", "account", "machine", "deploy", "kind", "hours", "dollars_per_hour",
    "dollars", "estimated",
)  # fmt: skip


def table(spans: Iterable[Span], since: float, until: float, zone: tzinfo | None = None) -> str:
    """Return what was spent in a time, a row a day, line, account, machine, kind and price.

    What has no price has empty cells for it, not zeros. Lines end in CRLF, as RFC 4180 wants it.

    Args:
        spans: What was spent.
        since: Unix time.
        until: Unix time.
        zone: Whose days count; None for this computer's.
    """
    rows = []
    for span in spans:
        part = clipped(span, since, until)
        at = part.began
        for day, seconds in by_day(part.began, part.ended, zone):
            price = part.price
            rows.append(
                (
                    day.isoformat(), _utc(at), _utc(at + seconds), part.line, part.account, part.thing,
                    part.tag, str(part.kind), f"{seconds / HOUR:.6f}",
                    "" if price is None else f"{price:.6f}",
                    "" if price is None else f"{seconds / HOUR * price:.6f}",
                    "yes" if part.guessed else "no",
                )
            )  # fmt: skip
            at += seconds
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return text.getvalue()


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
