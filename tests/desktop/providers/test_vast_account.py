"""Vast.ai: keys, credit and the market, against its simulator with its official contract between them."""

from __future__ import annotations

import json

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from peers.simulated import Clock
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import AuthFailed, OutOfFunds, PersonaDeskError, RateLimited
from personadesk.domain.machine import Order
from personadesk.domain.offer import Need, Stock, rank
from personadesk.providers.vast import Vast
from personadesk.rehearsal.faults import Fault

KEY = "rehearsal-vast-key-0001"
Cloud = JudgedCloud[Vast]


@pytest.fixture
def place() -> Cloud:
    return JudgedCloud(Vast, "vast.openapi.json", outside=("/instance_logs",))


def answering(answers: dict[str, httpx.Response]) -> Vast:
    """Return an account whose API answers by "METHOD /path", and 404 to the rest."""
    clock = Clock()

    def handle(request: httpx.Request) -> httpx.Response:
        missing = httpx.Response(404, json={"success": False, "error": "no_such_instance"})
        return answers.get(f"{request.method} {request.url.path}", missing)

    return Vast(
        Account("mine", "vast"), {"api_key": KEY}, transport=httpx.MockTransport(handle),
        clock=clock, sleep=clock.sleep,
    )  # fmt: skip


async def test_an_account_tells_who_it_is_what_it_may_and_what_was_paid_in(place: Cloud):
    found = await place.here.verify()
    assert found.who == "rehearsal@example.com"
    assert found.rights == {Right.SEE, Right.RENT, Right.END}
    assert (found.balance, str(found.balance_reason), found.missing) == (50.0, "", ())


async def test_a_wrong_an_expired_and_a_weak_key_are_told_apart(place: Cloud):
    with pytest.raises(AuthFailed) as wrong:
        await place.enter("no-such-key-at-all-0").verify()
    assert wrong.value.cause == "bad_key"
    with pytest.raises(AuthFailed) as searching:
        await place.enter("no-such-key-at-all-0").offers(Need())
    assert searching.value.cause == "bad_key", "a search answers 404 to a wrong key"
    place.world.add_account("old", "an-old-key-00000001", expired=True)
    with pytest.raises(AuthFailed) as old:
        await place.enter("an-old-key-00000001").verify()
    assert old.value.cause == "expired_key"
    place.world.add_account("weak", "a-weak-key-00000001", rights=frozenset({Right.SEE}))
    weak = place.enter("a-weak-key-00000001")
    found = await weak.verify()
    assert found.rights == {Right.SEE}
    assert "instance_write" in str(found.missing[0])
    offer = (await weak.offers(Need()))[0]
    with pytest.raises(AuthFailed) as order:
        await weak.create(Order("pd-1", offer, "ssh-ed25519 AAAA me"))
    assert order.value.cause == "missing_right"


NO = httpx.Response(401, json={"success": False, "error": "auth_error", "msg": "Invalid user key"})
USER = httpx.Response(200, json={"id": 7, "balance": 3.5, "shoe_size": 44})
NONE = httpx.Response(200, json={"instances": [], "next_token": None})


async def test_a_key_that_may_not_read_the_user_is_still_a_key():
    vast = answering({"GET /api/v0/users/current": NO, "GET /api/v1/instances": NONE})
    found = await vast.verify()
    assert (found.who, found.balance) == ("", None)
    assert "user_read" in str(found.missing[0])
    assert found.balance_reason


async def test_a_key_that_may_not_see_instances_says_which_permission_it_lacks():
    vast = answering({"GET /api/v0/users/current": USER, "GET /api/v1/instances": NO})
    with pytest.raises(AuthFailed) as found:
        await vast.verify()
    assert found.value.cause == "missing_right"
    assert "instance_read" in str(found.value.next)


async def test_the_balance_is_told_where_there_is_no_credit():
    vast = answering({"GET /api/v0/users/current": USER, "GET /api/v1/instances": NONE})
    found = await vast.verify()
    assert (found.who, found.balance) == ("7", 3.5)


async def test_an_empty_balance_shows_and_ordering_says_so(place: Cloud):
    place.world.add_account("poor", "a-poor-key-00000001", balance=0.0)
    poor = place.enter("a-poor-key-00000001")
    assert (await poor.verify()).balance == 0.0
    offer = (await poor.offers(Need()))[0]
    with pytest.raises(OutOfFunds):
        await poor.create(Order("pd-1", offer, "ssh-ed25519 AAAA me"))


async def test_only_hosts_that_are_good_enough_are_offered(place: Cloud):
    found = await place.here.offers(Need())
    places = {(offer.gpu, offer.place) for offer in found}
    assert ("RTX 3090", "Oregon, US") in places
    bad = {"Lagos, NG", "Perm, RU", "Kansas, US", "Texas, US"}
    assert not bad & {where for _, where in places}, "unverified, unreliable, slow, too old"
    assert [offer.price for offer in found] == sorted(offer.price or 0 for offer in found)
    first = found[0]
    assert (first.ref, first.memory_gb, first.stock, first.spot) == (
        "1000001",
        24,
        Stock.LOW,
        False,
    )
    assert len({offer.key for offer in found}) == len(found)
    a100 = next(offer for offer in found if offer.gpu.startswith("A100"))
    assert (a100.gpu, a100.memory_gb) == ("A100 80GB", 80)
    assert rank(found, {"vast": 1.0})[0].ref == "1000001"


async def test_offers_keep_to_what_is_needed_and_the_disk_is_in_the_price(place: Cloud):
    bodies: list[dict[str, object]] = []
    answer = place.simulator.answer

    def listening(method, path, query="", headers=None, body=b""):
        if path.endswith("/bundles"):
            bodies.append(json.loads(body))
        return answer(method, path, query, headers, body)

    place.simulator.answer = listening  # type: ignore[method-assign]  # the simulator's own seam
    found = await place.here.offers(Need(memory_gb=40, max_price=0.8, disk_gb=60))
    assert {offer.gpu for offer in found} == {"RTX A6000", "L40S"}
    assert bodies[0]["allocated_storage"] == 80
    assert bodies[0]["dph_total"] == {"lte": 0.8}
    assert await place.here.offers(Need(count=4)) == []


async def test_interruptible_machines_come_when_they_are_wanted_at_a_bid_of_our_own(place: Cloud):
    found = await place.here.offers(Need(spot=True, memory_gb=40))
    bid = next(offer for offer in found if offer.spot and offer.gpu == "L40S")
    own = next(offer for offer in found if not offer.spot and offer.gpu == "L40S")
    assert bid.ref == own.ref
    assert bid.key != own.key
    assert float(bid.data["bid"]) == pytest.approx(0.432 * 1.1)
    assert bid.price == pytest.approx(0.432 * 1.1)


async def test_plain_words_about_too_many_requests_are_understood(place: Cloud):
    place.world.faults.add(Fault.RATE_LIMIT, times=1, seconds=2)
    assert await place.here.machines() == []
    often = httpx.Response(429, text="API requests too frequent endpoint threshold=4.5")
    with pytest.raises(RateLimited) as found:
        await answering({"GET /api/v1/instances": often}).machines()
    assert "too frequent" in found.value.details


async def test_no_key_is_ever_in_an_error():
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, text=f"sorry, {request.headers['authorization']}")

    vast = Vast(Account("mine", "vast"), {"api_key": KEY}, transport=httpx.MockTransport(echo))
    with pytest.raises(PersonaDeskError) as found:
        await vast.offers(Need())
    assert KEY not in f"{found.value} {found.value.details} {found.value.as_dict()}"
    assert "•••" in found.value.details
    await vast.aclose()
