"""Why a deploy was made, with what came out meanwhile: that an offer was passed over because it did badly before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.text import T, Text
from personadesk.store.coding import text_from_json

if TYPE_CHECKING:
    from personadesk.domain.plan import Plan
    from personadesk.store.journal import Journal


async def told(journal: Journal, plan: Plan | None, why: Text) -> Text:
    """Return the cause of a deed as the log keeps it.

    Args:
        journal: The deploys that were made.
        plan: The deploy that the deed started, None where it started none.
        why: The cause as it was decided.
    """
    record = await journal.load(plan.id) if plan is not None else None
    if record is None:
        return why
    over = text_from_json(record.facts.get("passed_over", ""))
    return T("{why} {more}", why=why, more=over) if over else why
