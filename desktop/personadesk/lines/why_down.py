"""Short words for why a line is not up: programs go by these, since sentences are for people and change.

They follow the sentences that this package itself says. What a server, a machine or a provider said of itself, or why
something could not be started, is `other`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.budget import USED_UP
from personadesk.domain.text import T
from personadesk.lines import truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.text import Text

BY_HAND = "by_hand"
OTHER = "other"

_SAID: Mapping[str, Sequence[Text]] = {
    "starting": (truth.STARTING, truth.LOADING),
    "stuck": (truth.STUCK,),
    "silent": (truth.SILENT,),
    "keeps_dying": (truth.DYING,),
    "server_gone": (truth.GONE,),
    "machine_ended": (truth.ENDED,),
    BY_HAND: (truth.ASKED,),
    "idle": (truth.IDLE,),
    "spend_limit": (truth.SPENT,),
    "budget": tuple(USED_UP.values()),
    # The rules of the guardian say these.
    "hours": (T("Its hours ended at {time}."), T("It has no hours now.")),
}
_CAUSES = {text.template: cause for cause, texts in _SAID.items() for text in texts}


def cause_of(reason: Text) -> str | None:
    """Return the word for a line's reason; None where there is nothing to say."""
    if not reason:
        return None
    return _CAUSES.get(reason.template, OTHER)


def all_causes() -> tuple[str, ...]:
    """Return every word that there is."""
    return (*_SAID, OTHER)
