"""Writes down how a call was, in the user's language, where the user wants it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from personadesk.ui.i18n import show
from personadesk.ui.talk.figures_card import call_facts

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.domain.persona import Persona
    from personadesk.ui.talk.call import Partner
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["save_report"]


async def save_report(
    path: Path, snapshot: TalkSnapshot, partner: Partner, persona: Persona
) -> None:
    """Write the page, and its figures as JSON beside it.

    Raises:
        HostUnfit: It cannot be written there.
    """
    from personadesk.voice import call_report

    talked = call_report.Talked(partner.name, partner.url, persona.name, persona.voice, time.time())
    page = call_report.render(talked, snapshot, call_facts(snapshot), show)
    values = call_report.as_dict(talked, snapshot)
    await asyncio.to_thread(call_report.save, path, page, values)
