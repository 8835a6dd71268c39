"""RunPod: keys, balance, offers and volumes, against its simulator with its official contract between them."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    OutOfFunds,
    PersonaDeskError,
    RateLimited,
    Unreachable,
)
from personadesk.domain.machine import Order, ResourceKind
from personadesk.domain.offer import Need, Stock
from personadesk.providers.runpod import RunPod
from personadesk.rehearsal.faults import Fault

KEY = "rehearsal-runpod-key-1"
Cloud = JudgedCloud[RunPod]


@pytest.fixture
def place() -> Cloud:
    return JudgedCloud(RunPod, "runpod-api-v2.openapi.json", outside=("/graphql",))


async def test_an_account_tells_who_it_is_what_it_may_and_what_is_left(place: Cloud):
    found = await place.here.verify()
    assert found.who == "rehearsal@example.com"
    assert found.rights == {Right.SEE, Right.RENT, Right.END}
    assert (found.balance, found.spend_per_hour, found.missing) == (50.0, 0.0, ())
    assert str(found.limits[0]) == "At most $80 an hour."
    assert found.checked == place.clock.now
    assert not place.world.machines()


async def test_a_wrong_an_expired_and_a_weak_key_are_told_apart(place: Cloud):
    with pytest.raises(AuthFailed) as wrong:
        await place.enter("no-such-key-at-all-0").verify()
    assert wrong.value.cause == "bad_key"
    place.world.add_account("old", "an-old-key-00000001", expired=True)
    with pytest.raises(AuthFailed) as old:
        await place.enter("an-old-key-00000001").verify()
    assert old.value.cause == "expired_key"
    place.world.add_account("weak", "a-weak-key-00000001", rights=frozenset({Right.SEE}))
    found = await place.enter("a-weak-key-00000001").verify()
    assert found.rights == {Right.SEE}
    assert "Read/Write" in str(found.missing[0])
    place.world.add_account("none", "a-none-key-00000001", rights=frozenset())
    with pytest.raises(AuthFailed) as none:
        await place.enter("a-none-key-00000001").verify()
    assert none.value.cause == "missing_right"


async def test_an_empty_balance_shows_and_ordering_says_so(place: Cloud):
    place.world.add_account("poor", "a-poor-key-00000001", balance=0.0)
    poor = place.enter("a-poor-key-00000001")
    assert (await poor.verify()).balance == 0.0
    offer = (await poor.offers(Need()))[0]
    with pytest.raises(OutOfFunds, match="balance at RunPod"):
        await poor.create(Order("pd-1", offer, "ssh-ed25519 AAAA me"))
    assert not place.world.machines()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(403, json={"title": "Forbidden", "status": 403, "detail": "no"}), "may not read GraphQL"),
        (httpx.Response(200, json={"errors": [{"message": "Something broke"}]}), "Something broke"),
        (httpx.Response(200, json={"data": {"myself": None}}), "didn't tell it"),
        (httpx.Response(410, text="retired"), "didn't tell it"),
    ],
)  # fmt: skip
async def test_a_balance_that_cannot_be_had_has_a_reason(answer: httpx.Response, reason: str):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/graphql":
            return answer
        if request.method == "GET":
            return httpx.Response(200, json={"pods": []})
        return httpx.Response(
            404, json={"title": "Not Found", "status": 404, "detail": "pod not found"}
        )

    runpod = RunPod(
        Account("mine", "runpod"), {"api_key": KEY}, transport=httpx.MockTransport(handle)
    )
    found = await runpod.verify()
    assert found.balance is None
    assert reason in str(found.balance_reason)
    assert Right.RENT in found.rights


async def test_offers_are_of_both_clouds_by_data_center_with_price_and_stock(place: Cloud):
    found = await place.here.offers(Need())
    by_key = {offer.key: offer for offer in found}
    assert len(by_key) == len(found)
    own = by_key["mine|NVIDIA GeForce RTX 4090|EU-RO-1|own"]
    assert (own.gpu, own.memory_gb, own.price, own.stock) == ("RTX 4090", 24, 0.44, Stock.LOW)
    assert own.place == "Romania"
    assert own.disk_price == pytest.approx(80 * 0.10 / 730)
    assert by_key["mine|NVIDIA GeForce RTX 4090|US-KS-2|own"].stock is Stock.NONE
    community = by_key["mine|NVIDIA GeForce RTX 4090 (community)||own"]
    assert (community.price, community.place) == (0.31, "Community Cloud")
    assert community.stock is Stock.MEDIUM
    assert not any(offer.gpu == "MI300X" for offer in found), "the model wants CUDA"
    assert {offer.asked for offer in found} == {place.clock.now}


async def test_offers_keep_to_what_is_needed(place: Cloud):
    found = await place.here.offers(Need(memory_gb=40, max_price=0.5))
    assert {offer.gpu for offer in found} == {"A40"}
    assert await place.here.offers(Need(count=2)) == []


async def test_a_catalog_that_tells_no_stock_is_not_called_full():
    gpu = {
        "id": "NVIDIA L4", "memory": 24, "secure": True, "community": False, "novel": {"a": 1},
        "price": {"secure": 0.43, "community": 0}, "maxCount": {"secure": 8, "community": 0},
    }  # fmt: skip
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"gpus": [gpu]}))
    runpod = RunPod(Account("mine", "runpod"), {"api_key": KEY}, transport=answer)
    (found,) = await runpod.offers(Need(count=2))
    assert (found.stock, found.region, found.price) == (Stock.UNKNOWN, "", 0.86)


async def test_a_volume_is_found_made_or_made_larger_where_a_data_center_has_them(place: Cloud):
    offers = {offer.key: offer for offer in await place.here.offers(Need())}
    romania = offers["mine|NVIDIA RTX A5000|EU-RO-1|own"]
    made = await place.here.volume_for(romania, 60)
    assert made
    assert await place.here.volume_for(romania, 60) == made
    assert await place.here.volume_for(romania, 100) == made
    assert place.world.things(None, "volume")[0].data["size"] == 100
    assert await place.here.volume_for(offers["mine|NVIDIA A40|EU-SE-1|own"], 60) == ""
    anywhere = offers["mine|NVIDIA L40S (community)||own"]
    assert await place.here.volume_for(anywhere, 60) == ""
    assert len(place.world.things(None, "volume")) == 1


async def test_others_volumes_are_neither_used_nor_listed_nor_removed(place: Cloud):
    owner = place.world.account(KEY)
    place.world.keep(
        owner, "volume", thing_id="theirs", name="data", region="EU-RO-1", data={"size": 500}
    )
    offer = next(o for o in await place.here.offers(Need()) if o.region == "EU-RO-1")
    ours = await place.here.volume_for(offer, 60)
    assert ours != "theirs"
    (left,) = await place.here.leftovers()
    assert (left.kind, left.id, left.attached) == (ResourceKind.VOLUME, ours, "")
    assert left.price == pytest.approx(60 * 0.07 / 730)
    await place.here.remove(left)
    await place.here.remove(left)
    assert [each.id for each in place.world.things(None, "volume")] == ["theirs"]
    with pytest.raises(PersonaDeskError) as found:
        await place.here.remove(replace(left, kind=ResourceKind.ADDRESS))
    assert found.value.cause == "unsupported"


async def test_a_network_that_breaks_and_a_limit_that_is_reached(place: Cloud):
    place.world.faults.add(Fault.DROP_BEFORE, times=4)
    with pytest.raises(Unreachable):
        await place.here.machines()
    place.world.faults.add(Fault.RATE_LIMIT, times=1, seconds=600)
    with pytest.raises(RateLimited) as found:
        await place.here.machines()
    assert (found.value.retry_after_s, found.value.provider_status) == (600, 429)
    place.world.faults.add(Fault.RATE_LIMIT, times=1, seconds=2)
    assert await place.here.machines() == []


async def test_no_key_is_ever_in_an_error(place: Cloud):
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, text=f"sorry, {request.headers['authorization']}")

    runpod = RunPod(
        Account("mine", "runpod"), {"api_key": KEY}, transport=httpx.MockTransport(echo),
        clock=place.clock, sleep=place.clock.sleep,
    )  # fmt: skip
    with pytest.raises(PersonaDeskError) as found:
        await runpod.verify()
    assert KEY not in f"{found.value} {found.value.details} {found.value.as_dict()}"
    assert "•••" in found.value.details
    await runpod.aclose()
