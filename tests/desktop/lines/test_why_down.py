"""Every reason that lines give of themselves has its word, and the documentation has every word."""

from __future__ import annotations

from pathlib import Path

import pytest

from personadesk.domain.budget import ALL, Budget, Level, Period, Standing
from personadesk.domain.guarding import Deed, Observed, Voice, decide
from personadesk.domain.hours import parse
from personadesk.domain.money import Amount
from personadesk.domain.text import NOTHING, T, Text
from personadesk.domain.wish import Rest, Wish
from personadesk.lines import truth
from personadesk.lines.why_down import all_causes, cause_of

DOCS = Path(__file__).parents[3] / "docs" / "lines.md"
NIGHT = 1_699_999_200.0
"""2023-11-14, 22:00 UTC, a Tuesday."""


def used_up(line: str, period: Period) -> Text:
    return Standing(Budget(line), Level.REACHED, period, Amount(5.0), 5.0).why


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (truth.STARTING, "starting"),
        (T(truth.LOADING.template, stage="weights"), "starting"),
        (truth.STUCK, "stuck"),
        (truth.SILENT, "silent"),
        (truth.DYING, "keeps_dying"),
        (truth.GONE, "server_gone"),
        (truth.ENDED, "machine_ended"),
        (truth.ASKED, "by_hand"),
        (T(truth.IDLE.template, time="20 min"), "idle"),
        (T(truth.SPENT.template, limit="5.00"), "spend_limit"),
        *((used_up(line, period), "budget") for line in ("a", ALL) for period in Period),
        (Text("What a server said of itself."), "other"),
        (NOTHING, None),
    ],
)
def test_a_reason_has_its_word(reason: Text, cause: str | None) -> None:
    assert cause_of(reason) == cause


@pytest.mark.parametrize("hours", ["mon-fri 08:00-18:00", "sat 10:00-14:00"])
def test_what_the_calendar_says_has_its_word(hours: str) -> None:
    wish = Wish("a", hours=parse(hours, "UTC"), rest=Rest.UP)
    decision = decide(wish, Observed(Voice.UP), [], NIGHT)
    assert decision.deed is Deed.SLEEP
    assert cause_of(decision.why) == "hours"


def test_every_word_is_documented() -> None:
    told = DOCS.read_text(encoding="utf-8")
    for cause in all_causes():
        assert f"`{cause}`" in told, cause
