"""What the wizard keeps of renting, and the reasons it gives, without a window."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from personadesk.deploy.rented.views import AccountView, FleetView
from personadesk.domain.machine import Machine, MachineState
from personadesk.domain.offer import Offer, Stock, rank
from personadesk.domain.plan import RENT, ModelKind
from personadesk.providers import catalog
from personadesk.store.spending import Cost
from personadesk.ui.deploy import flow, rent_draft
from personadesk.ui.deploy.flow import Draft, Field, Page, Where
from personadesk.ui.deploy.offer_table import OfferTable, Order
from personadesk.ui.deploy.rent_draft import RentDraft
from personadesk.ui.deploy.why import why
from personadesk.ui.rented.standing import standing_of


@pytest.fixture
def world(scenes: ModuleType, samples: ModuleType) -> flow.World:
    made: flow.World = scenes.SampleWorld([samples.line()])
    return made


@pytest.fixture
def ranked(samples: ModuleType) -> list[Offer]:
    scores = {o.provider: catalog.facts(o.provider).answers.score() for o in samples.OFFERS}
    return rank(samples.OFFERS, scores)


def reason(choice: Offer, offers: list[Offer]) -> str:
    return why(choice, offers, {o.provider: catalog.facts(o.provider) for o in [choice, *offers]})


def test_the_short_way_leaves_out_what_has_a_good_answer(world: flow.World) -> None:
    draft = flow.renting(Draft(line="Practice", port="9000"), world)
    assert draft.model is ModelKind.PERSONAPLEX_7B
    assert flow.pages(draft) == (Page.WHERE, Page.ACCOUNT, Page.GPU, Page.CHECK)
    detoured = replace(draft, detours=(Page.LINE,))
    assert flow.pages(detoured) == (Page.WHERE, Page.ACCOUNT, Page.GPU, Page.LINE, Page.CHECK)
    connected = replace(draft, rent=replace(draft.rent, asks_account=False))
    assert flow.pages(connected) == (Page.WHERE, Page.GPU, Page.CHECK)
    here = replace(draft, where=Where.HERE)
    assert flow.pages(here) == (Page.WHERE, Page.MODEL, Page.LINE, Page.CHECK)


def test_a_model_that_was_chosen_for_a_rented_gpu_stays(world: flow.World) -> None:
    draft = replace(flow.renting(Draft(), world), model=ModelKind.REHEARSAL)
    assert flow.renting(draft, world).model is ModelKind.REHEARSAL


def test_a_rented_draft_becomes_a_plan_and_the_plan_the_draft(
    world: flow.World, samples: ModuleType
) -> None:
    choice = samples.OFFERS[0]
    rent = RentDraft(
        choice=choice, offers=(choice.key,), max_price="1,50", idle=False, spend_limit="4",
        hold_failed=True, next_best=False,
    )  # fmt: skip
    draft = replace(flow.renting(Draft(line="Practice", port="9000"), world), rent=rent)
    plan = flow.plan_of(draft)
    wish = plan.rent
    assert wish is not None
    assert (plan.place, wish.offers, wish.max_price) == (RENT, (choice.key,), 1.5)
    assert (wish.idle_stop_minutes, wish.spend_limit) == (None, 4.0)
    assert (wish.hold_failed, wish.next_best) == (True, False)
    assert flow.plan_of(flow.draft_of(plan)).rent == wish


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"max_price": "cheap"}, Field.PRICE, "A price is a number of dollars above 0."),
        ({"max_price": "0.5"}, Field.PRICE, "The GPU that you chose costs $0.75 an hour."),
        ({"idle_minutes": ""}, Field.IDLE, "A time is a number of minutes above 0."),
        ({"spend_limit": "-1"}, Field.SPEND, "An amount is a number of dollars above 0."),
        ({"choice": None}, Field.GPU, "Choose a GPU."),
    ],
)
def test_a_limit_that_cannot_be_is_told_in_a_sentence(
    changes: dict[str, object],
    field: Field,
    sentence: str,
    world: flow.World,
    samples: ModuleType,
) -> None:
    good = RentDraft(choice=samples.OFFERS[0], offers=(samples.OFFERS[0].key,))
    draft = replace(
        flow.renting(Draft(line="Practice", port="9000"), world),
        rent=replace(good, **changes),  # type: ignore[arg-type] # fields of RentDraft
    )
    found = {fault.field: str(fault.what) for fault in flow.faults(Page.CHECK, draft, world)}
    assert found.pop(Field.ACCOUNT).startswith("Connect an account first")
    assert list(found) == [field]
    assert found[field].startswith(sentence)


def test_limits_that_are_off_are_not_judged(samples: ModuleType) -> None:
    off = RentDraft(max_price="", idle=False, idle_minutes="x", spend=False, spend_limit="x")
    assert not rent_draft.price_fault(off)
    assert not rent_draft.idle_fault(off)
    assert not rent_draft.spend_fault(off)
    untold = replace(samples.OFFERS[0], price=None)
    assert rent_draft.suits(untold, off)
    assert not rent_draft.suits(untold, RentDraft())


def test_what_is_sold_out_may_be_chosen_only_with_another_behind_it(samples: ModuleType) -> None:
    sold = samples.OFFERS[5]
    assert sold.stock is Stock.NONE
    alone = RentDraft(choice=sold, offers=(sold.key,))
    assert str(rent_draft.choice_fault(alone)).startswith("This one is sold out")
    assert not rent_draft.choice_fault(replace(alone, offers=(sold.key, samples.OFFERS[0].key)))


def test_the_chain_holds_the_choice_and_the_next_best_within_the_limits(
    ranked: list[Offer], samples: ModuleType
) -> None:
    choice = samples.OFFERS[0]
    keys = rent_draft.chain(choice, ranked, RentDraft(max_price="0.80"))
    by_key = {offer.key: offer for offer in ranked}
    assert keys[0] == choice.key
    assert [by_key[key].price for key in keys[1:]] == [0.38, 0.44, 0.8]
    assert rent_draft.chain(choice, ranked, RentDraft(next_best=False)) == (choice.key,)


def test_the_next_offer_is_one_that_was_not_tried(samples: ModuleType) -> None:
    wish = samples.RENT_PLAN.rent
    following = rent_draft.without(wish, [samples.OFFERS[0].key], ["a", samples.OFFERS[0].key])
    assert following is not None
    assert (following.offers, following.next_best) == (("a",), False)
    assert rent_draft.without(wish, [samples.OFFERS[0].key], []) is None


def test_the_reason_names_what_the_rule_weighed(ranked: list[Offer]) -> None:
    by_gpu = {(offer.provider, offer.gpu): offer for offer in ranked}
    vast, a10 = by_gpu["vast", "RTX 4090"], by_gpu["lambda", "A10"]
    assert ranked[0] == vast
    assert reason(vast, ranked) == (
        "It is the cheapest. A10 at Lambda keeps its GPU and starts by itself, but costs $0.37 /h "
        "more; that weighs heavier."
    )
    assert reason(a10, ranked) == (
        "RTX 4090 at Vast.ai comes before it: it costs $0.37 /h less. In return it keeps its GPU "
        "and starts by itself."
    )
    assert reason(by_gpu["lambda", "A100"], ranked).startswith("It is sold out now.")
    assert reason(vast, [vast]) == "It is the only one that fits and is within your limits."
    dear = replace(vast, price=0.70)
    assert reason(a10, [a10, dear]) == (
        "It keeps its GPU and starts by itself; the cheapest, RTX 4090 at Vast.ai, does not. "
        "That is worth $0.05 /h more."
    )
    runpod = replace(by_gpu["runpod", "RTX 4090"], price=0.37)
    assert reason(vast, [vast, runpod]) == (
        "The cheapest, RTX 4090 at RunPod, may be gone: its stock is low or not told. "
        "That is worth $0.01 /h more."
    )
    assert reason(runpod, [vast, runpod]).endswith("its stock is more certain.")
    untold = replace(a10, price=None)
    assert "what this one costs is not told" in reason(untold, [vast, untold])


def test_the_table_keeps_rows_in_place_when_it_is_filled_again_by_itself(
    ranked: list[Offer], qapp: object
) -> None:
    table = OfferTable()
    tester = QAbstractItemModelTester(table)
    table.show_offers(ranked)
    assert [offer.key for offer in table.offers()] == [offer.key for offer in ranked]
    changed: list[int] = []
    table.dataChanged.connect(lambda first, _last, _roles: changed.append(first.row()))
    [table.data(table.index(row, 0)) for row in range(table.rowCount())]
    cheaper = replace(ranked[3], price=0.01)
    fresh = [cheaper, *ranked[:3], *ranked[4:]]
    table.show_offers(fresh, stay=True)
    assert table.position(cheaper.key) == 3
    assert 3 in changed
    assert 5 not in changed
    table.show_offers(fresh)
    assert table.position(cheaper.key) == 0
    table.show_offers(fresh[1:], stay=True)
    assert table.position(cheaper.key) == -1
    del tester


def test_by_price_the_sold_out_ones_stay_last_and_the_chosen_row_follows(
    ranked: list[Offer], qapp: object
) -> None:
    table = OfferTable()
    dearest = max(ranked, key=lambda offer: offer.price or 0.0)
    untold = replace(ranked[0], ref="untold", price=None)
    offers = [dearest, untold, *(offer for offer in ranked if offer != dearest)]
    table.show_offers(offers)

    chosen = QPersistentModelIndex(table.index(0, 0))
    table.set_order(Order.PRICE, offers)
    prices = [offer.price for offer in table.offers()]
    known = [price for price in prices[:-2] if price is not None]
    assert known == sorted(known)
    assert prices[-2] is None
    assert table.offers()[-1].stock is Stock.NONE
    assert table.at(chosen) == dearest
    assert table.headerData(2, Qt.Orientation.Horizontal) == "Price"


def test_a_standing_tells_what_was_billed_and_what_came_since(samples: ModuleType) -> None:
    now = samples.STARTED + 7200.0
    fresh = standing_of(samples.RENTAL, FleetView(), (), "2026-11-23")
    assert (fresh.about, fresh.hourly) == ("Lambda · A10 · Arizona", "$0.75 /h")
    assert fresh.spent_until(now) == "$1.50"
    machine = Machine(
        "i-0a1b", "Lambda", "lambda", state=MachineState.RUNNING, price=0.75, running_price=0.75,
        tag=samples.RENTAL.tag, seen=now - 3600.0,
    )  # fmt: skip
    view = FleetView(
        {"Lambda": AccountView("Lambda", (machine,), seen=now - 3600.0)},
        spent={samples.RENTAL.tag: 2.0},
    )
    costs = (
        Cost(samples.RENTAL.tag, "Lambda", "i-0a1b", "", "2026-11-22", 3600.0, 1.5),
        Cost(samples.RENTAL.tag, "Lambda", "i-0a1b", "", "2026-11-23", 1200.0, 0.5),
        Cost("pd-other", "Lambda", "i-ffff", "", "2026-11-23", 1200.0, 9.0),
    )
    seen = standing_of(samples.RENTAL, view, costs, "2026-11-23")
    assert (seen.spent_until(now), seen.today_until(now)) == ("$2.75", "$1.25")
    # Before the first look nobody knows how much of that is added up already.
    assert standing_of(samples.RENTAL, FleetView(), costs, "2026-11-23").spent_until(now) == "$2.00"
    untold = replace(samples.RENTAL, price=None)
    assert standing_of(untold, FleetView(), (), "2026-11-23").hourly == "not told by Lambda"


def test_what_can_only_be_ended_says_beforehand_how_long_a_new_one_takes(
    samples: ModuleType,
) -> None:
    standing = standing_of(samples.RENTAL, FleetView(), (), "2026-11-23")
    assert standing.stopping().endswith("≈ 5 min, not measured here yet.")
    assert standing.stopping(200.0).endswith("sets it up: 3 min the last time.")
    pausing = standing_of(replace(samples.RENTAL, provider="runpod"), FleetView(), (), "2026-11-23")
    assert "new one" not in pausing.stopping(200.0)
