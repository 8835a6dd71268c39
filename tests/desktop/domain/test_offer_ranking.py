"""Which offers fit a model, and the stated rule by which they are ranked."""

from __future__ import annotations

from personadesk.domain.offer import Need, Offer, Stock, need_of, rank
from personadesk.domain.plan import ModelKind


def offer(ref: str, price: float | None, provider: str = "a", **more) -> Offer:
    return Offer(
        "acc", provider, ref, more.pop("gpu", "A10"), more.pop("memory", 24), price=price, **more
    )


def test_a_card_sold_as_24_gb_fits_and_one_of_20_does_not():
    need = need_of(ModelKind.PERSONAPLEX_7B)
    assert need.allows(offer("x", 1.0, memory=22.5))
    assert not need.allows(offer("x", 1.0, memory=20))
    assert need_of(ModelKind.PERSONAPLEX_7B, int8=True).allows(offer("x", 1.0, memory=12))
    assert need_of(ModelKind.REHEARSAL).allows(offer("x", 1.0, memory=0))


def test_a_price_limit_leaves_out_what_has_no_price():
    need = Need(max_price=1.0)
    assert need.allows(offer("x", 1.0))
    assert not need.allows(offer("x", 1.01))
    assert not need.allows(offer("x", None))


def test_machines_that_may_be_taken_back_are_for_those_who_ask():
    assert not Need().allows(offer("x", 0.1, spot=True))
    assert Need(spot=True).allows(offer("x", 0.1, spot=True))


def test_sold_out_comes_last_and_cheap_comes_first():
    gone = offer("gone", 0.1, stock=Stock.NONE)
    cheap, dear = offer("cheap", 0.5, stock=Stock.HIGH), offer("dear", 0.6, stock=Stock.HIGH)
    untold = offer("untold", None, stock=Stock.HIGH)
    assert rank([gone, untold, dear, cheap], {}) == [cheap, dear, untold, gone]


def test_a_provider_without_the_four_pains_may_cost_more_and_still_be_first():
    calm = offer("calm", 0.75, "calm", stock=Stock.HIGH)
    rough = offer("rough", 0.55, "rough", stock=Stock.HIGH)
    assert rank([rough, calm], {"calm": 4.0, "rough": 0.5}) == [calm, rough]
    much_cheaper = offer("rough", 0.3, "rough", stock=Stock.HIGH)
    assert rank([calm, much_cheaper], {"calm": 4.0, "rough": 0.5})[0] is much_cheaper


def test_an_offer_keeps_its_key_when_price_and_stock_change():
    assert offer("x", 1.0).key == offer("x", 2.0, stock=Stock.LOW).key
    assert offer("x", 1.0).key != offer("x", 1.0, spot=True).key
