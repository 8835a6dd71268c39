"""Lambda: the account, what it may rent, and how its refusals are told."""

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
from personadesk.domain.offer import Need, Offer, Stock
from personadesk.providers.lambda_cloud import LambdaCloud
from personadesk.rehearsal.faults import Fault

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
TOLD = frozenset({200, 400, 401, 403, 404})
"""Lambda's description leaves out its answers 429 and 500."""


@pytest.fixture
def cloud() -> JudgedCloud[LambdaCloud]:
    return JudgedCloud(LambdaCloud, "lambda-cloud-1.8.3.openapi.json", statuses=TOLD)


async def _at_once(seconds: float) -> None:
    return


async def test_a_good_key_is_told_what_it_spends_and_that_no_balance_is_told(cloud):
    info = await cloud.here.verify()
    assert info.rights == frozenset(Right)
    assert (info.balance, info.spend_per_hour) == (None, 0)
    assert "does not tell" in str(info.balance_reason)
    assert cloud.judge.seen == [("GET", "/api/v1/instances")]


async def test_a_wrong_key_and_a_closed_account_are_told_apart(cloud):
    with pytest.raises(AuthFailed) as wrong:
        await cloud.enter("lambda-wrong-key-123").verify()
    assert (wrong.value.cause, wrong.value.provider_status) == ("bad_key", 401)
    assert "lambda-wrong-key-123" not in f"{wrong.value.as_dict()}"
    cloud.world.faults.add(Fault.NO_MONEY, times=1)
    (offer, *_) = await cloud.here.offers(Need())
    with pytest.raises(OutOfFunds) as closed:
        await cloud.here.create(Order("pd-1", offer, LINE))
    assert closed.value.cause == "account_closed"
    assert "cloud.lambda.ai" in str(closed.value.next)


async def test_a_kind_is_offered_in_each_region_that_has_one_and_once_when_it_is_sold_out(cloud):
    found = await cloud.here.offers(Need())
    told = {(each.ref, each.region): each for each in found}
    assert set(told) == {
        ("gpu_1x_a10", "us-east-1"), ("gpu_1x_a10", "us-west-1"), ("gpu_1x_a6000", "us-south-2"),
        ("gpu_1x_a100_sxm4", ""), ("gpu_1x_h100_pcie", "us-west-2"),
    }  # fmt: skip
    a10 = told["gpu_1x_a10", "us-west-1"]
    assert (a10.gpu, a10.memory_gb, a10.price, a10.stock) == ("A10", 24, 0.75, Stock.HIGH)
    assert (a10.place, a10.estimated) == ("California, USA", False)
    assert told["gpu_1x_a100_sxm4", ""].gpu == "A100 40GB"
    assert told["gpu_1x_a100_sxm4", ""].stock is Stock.NONE
    cheap = await cloud.here.offers(Need(max_price=0.77))
    assert {each.gpu for each in cheap} == {"A10"}
    big = await cloud.here.offers(Need(memory_gb=80))
    assert {each.gpu for each in big} == {"H100"}


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        (Fault.NO_CAPACITY, NoCapacity, "sold_out"), (Fault.QUOTA, QuotaExceeded, "quota"),
        (Fault.NO_MONEY, OutOfFunds, "account_closed"), (Fault.WRONG_KEY, AuthFailed, "bad_key"),
        (Fault.FAIL_AFTER, ProviderFault, "fault"), (Fault.DROP_AFTER, Unreachable, "maybe_done"),
    ],
)  # fmt: skip
async def test_each_refusal_of_a_launch_is_told_in_our_words(cloud, fault, kind, cause):
    (offer, *_) = await cloud.here.offers(Need())
    of_calls = fault not in {Fault.NO_CAPACITY, Fault.QUOTA, Fault.NO_MONEY}
    cloud.world.faults.add(fault, times=1, calls="launch" if of_calls else "")
    with pytest.raises(kind) as refused:
        await cloud.here.create(Order("pd-1", offer, LINE))
    assert refused.value.cause == cause
    made = [each.tag for each in await cloud.here.machines()]
    # Asked once: where it is not known whether it was made, its tag tells.
    assert made == (["pd-1"] if fault in {Fault.FAIL_AFTER, Fault.DROP_AFTER} else [])


async def test_sold_out_names_gpu_and_place(cloud):
    (offer, *_) = await cloud.here.offers(Need())
    cloud.world.set_free(offer.ref, offer.region, 0)
    with pytest.raises(NoCapacity, match=r"no A10 free in Virginia, USA") as refused:
        await cloud.here.create(Order("pd-1", offer, LINE))
    assert "insufficient-capacity" in refused.value.details
    # What was listed as sold out does not use up a launch.
    (sold_out, *_) = [each for each in await cloud.here.offers(Need()) if not each.region]
    launches = cloud.judge.seen.count(("POST", "/api/v1/instance-operations/launch"))
    with pytest.raises(NoCapacity):
        await cloud.here.create(Order("pd-1", sold_out, LINE))
    assert cloud.judge.seen.count(("POST", "/api/v1/instance-operations/launch")) == launches


async def test_a_part_that_is_gone_is_not_taken_for_a_machine_that_is_gone(cloud):
    (offer, *_) = await cloud.here.offers(Need())
    with pytest.raises(BadRequest) as refused:
        await cloud.here.create(Order("pd-1", offer, LINE, volume="0" * 32))
    assert refused.value.cause == "unknown_part"


async def test_two_launches_keep_12_seconds_apart(cloud):
    (offer, *_) = await cloud.here.offers(Need())
    cloud.world.faults.add(Fault.NO_CAPACITY, times=1)
    with pytest.raises(NoCapacity):
        await cloud.here.create(Order("pd-1", offer, LINE))
    before = cloud.clock()
    await cloud.here.create(Order("pd-2", offer, LINE))
    assert cloud.clock() - before >= 11.5


async def test_being_asked_to_slow_down_is_heeded_and_the_launch_not_lost(cloud):
    (offer, *_) = await cloud.here.offers(Need())
    cloud.world.faults.add(Fault.RATE_LIMIT, times=1, calls="launch", seconds=13)
    machine = await cloud.here.create(Order("pd-1", offer, LINE))
    assert [each.id for each in await cloud.here.machines()] == [machine.id]
    cloud.world.faults.add(Fault.RATE_LIMIT, calls="instances", seconds=600)
    with pytest.raises(RateLimited):
        await cloud.here.machines()


async def test_a_launch_that_names_no_machine_is_not_taken_for_one():
    def answer(request: httpx.Request) -> httpx.Response:
        told = {"instance_ids": []} if "launch" in request.url.path else []
        key = {"name": "ours", "public_key": LINE}
        return httpx.Response(200, json={"data": [key] if "ssh-keys" in request.url.path else told})

    here = LambdaCloud(
        Account("mine", "lambda"),
        {"api_key": "k" * 20},
        transport=httpx.MockTransport(answer),
        sleep=_at_once,
    )
    with pytest.raises(ProviderFault) as refused:
        await here.create(
            Order(
                "pd-1", Offer("mine", "lambda", "gpu_1x_a10", "A10", 24, region="us-east-1"), LINE
            )
        )
    assert refused.value.cause == "fault"
    await here.aclose()


async def test_no_secret_comes_out_of_a_refusal_that_quotes_it():
    key = "secret_lambda_key_0123"

    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": {"code": "odd", "message": f"{request.headers}"}})

    here = LambdaCloud(
        Account("mine", "lambda"), {"api_key": key}, transport=httpx.MockTransport(echo)
    )
    with pytest.raises(BadRequest) as refused:
        await here.machines()
    error = refused.value
    assert key not in f"{error.as_dict()} {error!r}"
    assert "odd" in error.details
    await here.aclose()
