"""The rules for a line's spare: a table of what is found, and what is done about it."""

# ruff: noqa: E501 - one case a row

from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.domain.budget import Allowance
from personadesk.domain.guarding import Box, Deed, Done, Observed, Spare, Voice, Work
from personadesk.domain.hours import parse, seconds_up
from personadesk.domain.plan import LOCAL, RENT, ModelChoice, ModelKind, RentWish
from personadesk.domain.sparing import SpareSeen, decide, places, ready
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish

NOW = 1_000_000.0
CLOUD = Place(RENT, RentWish(account="cloud", max_price=1.0))
OTHER = Place(RENT, RentWish(account="other"))
BOX = Place("host:box")
ONE = Wish("a", places=(CLOUD,), max_price=1.0, spare=ANY_SPARE)
TWO = replace(ONE, places=(CLOUD, OTHER))
LOST = [Box.GONE, Box.NO_GPU, Box.BROKEN]


def line(voice: Voice = Voice.UP, **more) -> Observed:
    return Observed(
        voice, **({"place": "account:cloud", "since": NOW - 3600, "box": Box.RUNNING} | more)
    )


def spare(voice: Voice = Voice.UP, **more) -> SpareSeen:
    values = {"place": "account:other", "since": NOW - 3600, "box": Box.RUNNING} | more
    return SpareSeen("pd-2", voice=voice, **values)


def past(*deeds, place: str = "account:other", ago: float = 3600.0):
    pairs = [deed if isinstance(deed, tuple) else (deed, True) for deed in deeds]
    return [Done(NOW - ago + n, deed, place, worked) for n, (deed, worked) in enumerate(pairs)]


MAKE, MEND, END, READY, NO = (
    Deed.MAKE_SPARE, Deed.MEND_SPARE, Deed.END_SPARE, Deed.SPARE_READY, Deed.NO_SPARE,
)  # fmt: skip
NEAR = Allowance(3.0, T("used up"), near=True)
NONE = SpareSeen()

TABLE = [
    # name, wish, line, spare, past, deed, place
    ("it has none", TWO, line(), NONE, [], MAKE, OTHER),
    ("it has none, and is at its second place", TWO, line(place="account:other"), NONE, [], MAKE, CLOUD),
    ("its only place is rented", ONE, line(), NONE, [], MAKE, CLOUD),
    ("a place is named for it", replace(TWO, spare="account:cloud"), line(), NONE, [], MAKE, CLOUD),
    ("its only place is a server of one's own", replace(ONE, places=(BOX,)), line(place="host:box", box=Box.OURS), NONE, [], NO, None),
    ("a server of one's own is free for it", replace(ONE, places=(CLOUD, BOX), max_price=None), line(), NONE, [], MAKE, BOX),
    ("none is wished", replace(TWO, spare=""), line(), NONE, [], None, None),
    ("the line is not guarded", replace(TWO, guarded=False), line(), NONE, [], None, None),
    ("the line sleeps", replace(TWO, rest=Rest.ASLEEP), line(Voice.STOPPED), NONE, [], None, None),
    ("the line is down", TWO, line(Voice.DEAD), NONE, [], None, None),
    ("the line has just come up", TWO, line(since=NOW - 30), NONE, [], None, None),
    ("somebody deploys to the line", TWO, line(work=Work.RUNNING), NONE, [], None, None),
    ("nothing may be rented", replace(TWO, max_price=None), line(), NONE, [], NO, None),
    ("the next place is sold out", TWO, line(), NONE, past((MAKE, False)), MAKE, CLOUD),
    ("the line's own deploy failed there", TWO, line(), NONE, past((Deed.DEPLOY, False), Deed.NOTHING), MAKE, CLOUD),
    ("all places are sold out", ONE, line(), NONE, past((MAKE, False), place="account:cloud"), NO, None),
    ("they are good again after hours", ONE, line(), NONE, past((MAKE, False), place="account:cloud", ago=7 * 3600), MAKE, CLOUD),
    ("a try has just failed", TWO, line(), NONE, past((MAKE, False), ago=2), None, None),
    ("the last machine of the day is the line's", TWO, line(), NONE, past(MAKE, READY, Deed.SWITCH, END), MAKE, OTHER),
    ("two were rented today", TWO, line(), NONE, past(MAKE, READY, END, MAKE, READY, END), NO, None),
    ("a budget is nearly used up", TWO, line(allowance=NEAR), NONE, [], NO, None),
    ("the line needs what is left", TWO, line(allowance=Allowance(9.0, beyond=-1.0)), NONE, [], NO, None),
    ("an hour of it is more than the line leaves", TWO, line(allowance=Allowance(9.0, beyond=0.9)), NONE, [], NO, None),
    ("the line leaves enough", TWO, line(allowance=Allowance(9.0, beyond=1.1)), NONE, [], MAKE, OTHER),
    ("most of the limit is spent", replace(TWO, spend_limit=10.0), line(spent=8.0), NONE, [], NO, None),
    ("an hour of it is too much for the limit", replace(TWO, spend_limit=10.0), line(spent=7.5), NONE, [], NO, None),
    ("the limit leaves enough", replace(TWO, spend_limit=10.0), line(spent=6.9), NONE, [], MAKE, OTHER),
    ("it is well", TWO, line(), spare(), past(MAKE, READY), None, None),
    ("it has just been made", TWO, line(), spare(), past(MAKE), READY, None),
    ("it is being made", TWO, line(), spare(Voice.STARTING, work=Work.RUNNING), [], None, None),
    ("its making was cut off", TWO, line(), spare(Voice.ABSENT, work=Work.OURS_LEFT), [], END, None),
    ("it loads", TWO, line(), spare(Voice.STARTING, since=NOW - 60), [], None, None),
    ("it loads for ever", TWO, line(), spare(Voice.STARTING), [], MEND, None),
    ("it is dead", TWO, line(), spare(Voice.DEAD), [], MEND, None),
    ("it takes no call", TWO, line(), spare(Voice.MUTE), [], MEND, None),
    ("its machine is stopped", TWO, line(), spare(Voice.SILENT, box=Box.STOPPED), [], MEND, None),
    ("it was mended just now", TWO, line(), spare(Voice.DEAD), past(MEND, ago=3), None, None),
    ("it stays dead", TWO, line(), spare(Voice.DEAD), past(MEND, (MEND, False)), END, None),
    ("it was mended yesterday", TWO, line(), spare(Voice.DEAD), past(MEND, MEND, READY), MEND, None),
    *[(f"its machine is {box}", TWO, line(), spare(Voice.SILENT, box=box), [], END, None) for box in LOST],
    ("its provider is silent", TWO, line(), spare(Voice.SILENT, box=Box.UNKNOWN), [], None, None),
    ("its machine is changing", TWO, line(), spare(Voice.SILENT, box=Box.CHANGING), [], None, None),
    ("the line is down too", TWO, line(Voice.DEAD), spare(Voice.DEAD), [], MEND, None),
    ("it was the line's voice a moment ago", TWO, line(), spare(), past(MAKE, READY, Deed.SWITCH), MEND, None),
    ("it was that, and its machine is gone", TWO, line(), spare(box=Box.GONE), past(MAKE, READY, Deed.SWITCH), END, None),
    ("it was that, and was mended", TWO, line(), spare(), past(Deed.SWITCH, MEND), READY, None),
    ("it is wished no more", replace(TWO, spare=""), line(), spare(), [], END, None),
    ("the line is not guarded any more", replace(TWO, guarded=False), line(), spare(), [], END, None),
    ("the line was put to sleep", replace(TWO, rest=Rest.ASLEEP), line(Voice.STOPPED), spare(), [], END, None),
    ("the line was stopped", replace(TWO, rest=Rest.STOPPED), line(Voice.STOPPED), spare(), [], END, None),
    ("the line was stopped while it was made", replace(TWO, rest=Rest.STOPPED), line(), spare(work=Work.RUNNING), [], END, None),
    ("another model is wished", replace(TWO, model=ModelChoice(ModelKind.PERSONAPLEX_7B)), line(), spare(), [], END, None),
    ("its place is not wished any more", ONE, line(), spare(), [], END, None),
    ("the line came to its place, which is rented", TWO, line(place="account:other"), spare(), [], None, None),
    ("the line came to its machine", replace(TWO, places=(BOX,)), line(place="host:box"), spare(place="host:box", box=Box.OURS), [], END, None),
    ("a budget is nearly used up, and it is there", TWO, line(allowance=NEAR), spare(), [], END, None),
    ("the line needs what is left, and it is there", TWO, line(allowance=Allowance(9.0, beyond=0.0)), spare(), [], END, None),
    ("the limit is near, and it is there", replace(TWO, spend_limit=10.0), line(spent=8.0), spare(), [], END, None),
    ("a server of one's own costs no rent", replace(TWO, places=(CLOUD, BOX)), line(allowance=NEAR), spare(place="host:box", box=Box.OURS), [], None, None),
    ("it did not end a moment ago", replace(TWO, spare=""), line(), spare(), past((END, False), ago=2), None, None),
    ("it did not end", replace(TWO, spare=""), line(), spare(), past((END, False)), END, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "seen", "found", "before", "deed", "place"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_each_case_has_its_deed(wish, seen, found, before, deed, place):
    decision = decide(wish, seen, found, before, NOW)
    assert (decision and decision.deed, decision and decision.place) == (deed, place)
    assert decision is None or str(decision.why).endswith(".")


@pytest.mark.parametrize(
    ("found", "before", "state"),
    [
        (NONE, [], Spare.NONE),
        (spare(), past(MAKE), Spare.READY),
        (spare(Voice.ABSENT, work=Work.RUNNING), [], Spare.MAKING),
        (spare(Voice.ABSENT, work=Work.OURS_LEFT), [], Spare.NONE),
        (spare(Voice.MUTE), past(MAKE, READY), Spare.NONE),
        (spare(), past(MAKE, READY, Deed.SWITCH), Spare.NONE),
        (spare(), past(MAKE, READY, (Deed.SWITCH, False)), Spare.READY),
        (spare(), past(Deed.SWITCH, Deed.NOTHING, MEND), Spare.READY),
        (spare(), past(Deed.SWITCH, MEND, Deed.SWITCH, MEND), Spare.NONE),
        (spare(), past(Deed.SWITCH, MEND, Deed.SWITCH, Deed.NOTHING, MEND), Spare.READY),
    ],
)
def test_only_a_spare_that_answers_and_has_not_failed_takes_over(found, before, state):
    assert ready(found, before) is state


def test_it_stands_elsewhere_than_the_line_if_it_can():
    wish = replace(TWO, places=(BOX, CLOUD, OTHER, Place(LOCAL)))
    assert [each.key for each in places(wish, "account:cloud")] == [
        "host:box", "account:other", "local", "account:cloud",
    ]  # fmt: skip
    named = replace(wish, spare="local")
    assert places(named, "host:box")[0].key == "local"
    assert "host:box" not in {each.key for each in places(named, "host:box")}


def test_how_long_a_line_is_still_up_counts_its_hours():
    hours = parse("daily 08:00-18:00", "UTC")
    midnight = 20_000 * 86_400.0
    assert seconds_up(None, midnight, midnight + 3600) == 3600
    assert seconds_up(hours, midnight + 9 * 3600, midnight + 86_400) == 9 * 3600
    assert seconds_up(hours, midnight, midnight + 30 * 86_400) == pytest.approx(30 * 36_000)
