"""DigitalOcean: the account, its sizes, long lists, and how its refusals are told."""

from __future__ import annotations

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    OutOfFunds,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.machine import Order
from personadesk.domain.offer import Need, Stock
from personadesk.providers.digitalocean import DigitalOcean
from personadesk.rehearsal.faults import Fault

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
CONTRACT = "digitalocean-v2.openapi.json"


@pytest.fixture
def cloud() -> JudgedCloud[DigitalOcean]:
    return JudgedCloud(DigitalOcean, CONTRACT)


def saying(status: int, body: object, key: str = "dop_v1_secret_0123") -> DigitalOcean:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    return DigitalOcean(
        Account("mine", "digitalocean"), {"api_key": key}, transport=answer, sleep=_at_once
    )


async def test_an_account_is_told_by_its_address_its_limit_and_what_it_owes(cloud):
    info = await cloud.here.verify()
    assert info.who == "rehearsal@example.com"
    assert info.rights == {Right.SEE}
    assert [str(each) for each in info.limits][1] == "At most 25 Droplets."
    assert info.balance is None
    assert "bills afterwards: $0.00" in str(info.balance_reason)


async def test_what_was_paid_before_is_a_balance(cloud):
    cloud.world.account(cloud.key).balance = 12.5
    assert (await cloud.here.verify()).balance == 12.5


async def test_a_wrong_key_a_weak_one_and_a_locked_account_are_told_apart(cloud):
    with pytest.raises(AuthFailed) as wrong:
        await cloud.enter("dop_v1_wrong_key_123").verify()
    assert wrong.value.cause == "bad_key"
    assert wrong.value.request_id
    cloud.world.add_account("guest", "dop_v1_weak_key", rights=frozenset({Right.SEE}))
    weak = cloud.enter("dop_v1_weak_key")
    assert (await weak.verify()).who == "guest@example.com"
    (offer, *_) = await weak.offers(Need())
    with pytest.raises(AuthFailed) as refused:
        await weak.create(Order("pd-1", offer, LINE))
    assert refused.value.cause == "missing_right"
    cloud.world.account(cloud.key).data["locked"] = True
    with pytest.raises(OutOfFunds) as locked:
        await cloud.here.verify()
    assert locked.value.cause == "account_closed"


async def test_a_token_without_billing_still_works():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/balance"):
            return httpx.Response(403, json={"id": "forbidden", "message": "no"})
        if request.url.path == "/v2/account":
            return httpx.Response(200, json={"account": {"email": "me@example.com"}})
        return httpx.Response(200, json={"droplets": []})

    here = DigitalOcean(
        Account("mine", "digitalocean"),
        {"api_key": "k" * 20},
        transport=httpx.MockTransport(answer),
    )
    info = await here.verify()
    assert (info.who, info.balance) == ("me@example.com", None)
    assert "billing read" in str(info.balance_reason)
    await here.aclose()


async def test_sizes_with_nvidia_gpus_are_offered_by_region_and_amds_are_not(cloud):
    found = {(each.ref, each.region): each for each in await cloud.here.offers(Need())}
    assert set(found) == {
        ("gpu-l40sx1-48gb", "tor1"), ("gpu-l40sx1-48gb", "nyc2"), ("gpu-h100x1-80gb", "nyc2"),
    }  # fmt: skip
    l40s = found["gpu-l40sx1-48gb", "tor1"]
    assert (l40s.gpu, l40s.memory_gb, l40s.price, l40s.place) == ("L40S", 48, 1.57, "Toronto 1")
    assert l40s.stock is Stock.MEDIUM
    cloud.world.set_free("gpu-h100x1-80gb", "nyc2", 0)
    (sold_out,) = await cloud.here.offers(Need(memory_gb=80))
    assert (sold_out.gpu, sold_out.region, sold_out.stock) == ("H100", "", Stock.NONE)
    # What is told for all eight together is told for one.
    (eight,) = await cloud.here.offers(Need(memory_gb=80, count=8))
    assert (eight.count, eight.memory_gb) == (8, 80)
    small = await cloud.here.offers(Need(memory_gb=12))
    assert "RTX 4000 Ada" in {each.gpu for each in small}


async def test_long_lists_are_read_to_their_end():
    # Answers of that length are not judged, which takes seconds.
    cloud = JudgedCloud(DigitalOcean, CONTRACT, statuses=frozenset())
    account = cloud.world.account(cloud.key)
    account.quota = 1000
    cloud.world.set_free("gpu-l40sx1-48gb", "tor1", None)
    for number in range(450):
        cloud.world.create(
            account, "gpu-l40sx1-48gb", machine_id=str(number + 1), region="tor1", name=f"pd-{number}",
            data={"image": "gpu-h100x1-base"},
        )  # fmt: skip
    found = await cloud.here.machines()
    assert len({each.id for each in found}) == 450
    assert cloud.judge.seen.count(("GET", "/v2/droplets")) == 3


async def test_a_list_that_never_ends_is_the_providers_fault():
    page = {
        "droplets": [],
        "links": {"pages": {"next": "https://api.digitalocean.com/v2/droplets?page=2"}},
    }
    here = saying(200, page)
    with pytest.raises(ProviderFault, match="fault of its own"):
        await here.machines()
    await here.aclose()


async def _at_once(seconds: float) -> None:
    return


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        (Fault.NO_CAPACITY, NoCapacity, "sold_out"), (Fault.QUOTA, QuotaExceeded, "quota"),
        (Fault.NO_MONEY, OutOfFunds, "account_closed"), (Fault.WRONG_KEY, AuthFailed, "bad_key"),
        (Fault.FAIL_AFTER, ProviderFault, "fault"), (Fault.DROP_AFTER, Unreachable, "maybe_done"),
    ],
)  # fmt: skip
async def test_each_refusal_of_a_new_droplet_is_told_in_our_words(cloud, fault, kind, cause):
    (offer, *_) = await cloud.here.offers(Need())
    of_calls = fault not in {Fault.NO_CAPACITY, Fault.QUOTA, Fault.NO_MONEY}
    cloud.world.faults.add(fault, times=1, calls="POST /v2/droplets" if of_calls else "")
    with pytest.raises(kind) as refused:
        await cloud.here.create(Order("pd-1", offer, LINE))
    assert refused.value.cause == cause
    found = [each.tag for each in await cloud.here.find("pd-1")]
    assert found == (["pd-1"] if fault in {Fault.FAIL_AFTER, Fault.DROP_AFTER} else [])


@pytest.mark.parametrize(
    ("status", "message", "kind", "cause"),
    [
        (422, "Size is not available in this region.", NoCapacity, "sold_out"),
        (422, "creating this/these droplet(s) will exceed your droplet limit", QuotaExceeded, "quota"),
        (422, "Droplet already has a pending event.", BadRequest, "wrong_state"),
        (422, "You specified an invalid size for Droplet creation.", BadRequest, "refused"),
        (403, "You are missing the required permission droplet:create", AuthFailed, "missing_right"),
        (403, "Please add a valid payment method", OutOfFunds, "account_closed"),
        (503, "Down for maintenance", ProviderFault, "fault"),
    ],
)  # fmt: skip
async def test_digitaloceans_sentences_are_understood(status, message, kind, cause):
    here = saying(status, {"id": "unprocessable_entity", "message": message, "request_id": "r-7"})
    with pytest.raises(kind) as refused:
        await here.machines()
    assert (refused.value.cause, refused.value.request_id) == (cause, "r-7")
    await here.aclose()


async def test_being_asked_to_slow_down_is_heeded(cloud):
    cloud.world.faults.add(Fault.RATE_LIMIT, times=1, seconds=5)
    before = cloud.clock()
    assert await cloud.here.machines() == []
    assert cloud.clock() - before >= 5
    cloud.world.faults.add(Fault.RATE_LIMIT, seconds=900)
    with pytest.raises(RateLimited) as refused:
        await cloud.here.machines()
    assert refused.value.retry_after_s == 900


async def test_no_secret_comes_out_of_a_refusal_that_quotes_it():
    key = "dop_v1_secret_0123"
    here = saying(422, {"id": "odd", "message": f"bad token {key}"}, key)
    with pytest.raises(BadRequest) as refused:
        await here.machines()
    assert key not in f"{refused.value.as_dict()} {refused.value!r}"
    await here.aclose()
