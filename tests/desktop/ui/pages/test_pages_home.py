"""What Home says of lines and deploys in each of their states."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from personadesk.domain.line import LineState
from personadesk.domain.plan import ModelChoice
from personadesk.domain.report import Verdict
from personadesk.ui.home import presenter
from personadesk.ui.home.model import LineVerb
from personadesk.ui.home.presenter import describe_computer, home_view
from personadesk.ui.i18n import language
from personadesk.ui.widgets import Kind, Shape


@pytest.mark.parametrize(
    ("state", "shape", "word", "first"),
    [
        (LineState.UP, Shape.OK, "Up", LineVerb.TALK),
        (LineState.STARTING, Shape.BUSY, "Starting", LineVerb.STOP),
        (LineState.FAILED, Shape.ERR, "Failed", LineVerb.START),
        (LineState.STOPPED, Shape.STOPPED, "Stopped", LineVerb.START),
        (LineState.UNKNOWN, Shape.UNKNOWN, "Unknown", LineVerb.START),
    ],
)
def test_a_line_tells_its_state_and_the_next_click(
    state: LineState, shape: Shape, word: str, first: LineVerb, samples: ModuleType
) -> None:
    (card,) = home_view([samples.line(state=state)], [], {samples.PLAN.id: ModelChoice()}).lines
    assert (card.shape, card.word, card.actions[0].verb) == (shape, word, first)
    assert card.address == "ws://127.0.0.1:8998/api/chat"
    assert card.about.startswith("This computer · Rehearsal model · since ")
    assert card.needs_user is (state is LineState.FAILED)
    assert LineVerb.REMOVE in {action.verb for action in card.actions if action.menu_only}


def test_a_failed_line_gives_its_reason_and_a_starting_one_what_it_does(
    samples: ModuleType,
) -> None:
    for state in (LineState.FAILED, LineState.STARTING):
        line = samples.line(state=state)
        assert home_view([line], [], {}).lines[0].fact == str(line.reason) != ""


def test_what_costs_money_now_is_never_told_as_costing_nothing() -> None:
    costs = presenter.Costs(now=0.01)
    assert home_view([], [], {}, costs=costs).today_note == "of all accounts"
    assert home_view([], [], {}).today_note == "Nothing costs money"


def test_a_deploy_without_a_line_is_a_card_with_progress_to_watch(samples: ModuleType) -> None:
    (card,) = home_view([], [samples.deploy(2, fraction=0.5)], {}).lines
    assert card.word == "Installing"
    assert card.fact_title == "Step 3 of 8 · Install the voice server"
    assert card.fraction is not None
    assert 0.1 < card.fraction < 0.6
    assert [a.verb for a in card.actions] == [LineVerb.WATCH, LineVerb.STOP]


def test_a_deploy_to_an_existing_line_shows_once(samples: ModuleType) -> None:
    cards = home_view([samples.line()], [samples.deploy(2)], {}).lines
    assert [card.name for card in cards] == ["Front desk"]
    assert cards[0].fraction is not None


def test_a_failed_deploy_stays_on_home_until_it_is_put_away(samples: ModuleType) -> None:
    (card,) = home_view([], [samples.failed_deploy()], {}).lines
    assert card.needs_user
    assert card.fact == "Port 8998 is taken by python3 (pid 4711)."
    assert [a.verb for a in card.actions] == [LineVerb.WATCH, LineVerb.REMOVE]


def test_a_finished_deploy_adds_its_measured_first_sound_to_the_line(samples: ModuleType) -> None:
    view = home_view([samples.line()], [samples.finished_deploy(Verdict.PASS)], {})
    assert (view.lines[0].fact_title, view.lines[0].fact) == ("First sound after", "0.39 s")
    assert (view.up, view.up_note, view.now) == ("1 of 1", "all of them", "$0.00 /h")


def test_exactly_one_button_of_a_card_is_the_wanted_one(samples: ModuleType) -> None:
    for state in (LineState.UP, LineState.FAILED, LineState.STOPPED):
        (card,) = home_view([samples.line(state=state)], [], {}).lines
        assert sum(a.kind is Kind.PRIMARY for a in card.actions) == 1


def test_home_speaks_dutch(samples: ModuleType) -> None:
    language().choose("nl")
    (card,) = home_view([samples.line()], [samples.finished_deploy()], {}).lines
    assert (card.word, card.fact, card.actions[0].text) == ("Bereikbaar", "0,39 s", "Praten")
    assert (card.now, card.today) == ("$ 0,00 /uur", "$ 0,00")


def test_the_first_start_says_what_this_computer_can_do(samples: ModuleType) -> None:
    assert describe_computer(samples.COMPUTER).startswith("No NVIDIA GPU here")
    assert "24 GB: PersonaPlex fits" in describe_computer(samples.BIG_COMPUTER)
    small = replace(samples.BIG_COMPUTER.gpus[0], memory_bytes=12 * 1024**3)
    assert "12 GB: too small" in describe_computer(replace(samples.BIG_COMPUTER, gpus=(small,)))
