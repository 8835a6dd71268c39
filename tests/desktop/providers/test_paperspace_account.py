"""Paperspace: the account, its table of prices with the stock of today, long lists, and how its refusals are told."""

from __future__ import annotations

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    OutOfFunds,
    ProviderFault,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.machine import Order, SshIdentity
from personadesk.domain.offer import Need, Stock
from personadesk.providers.paperspace import Paperspace
from personadesk.rehearsal.faults import Fault

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n-----END OPENSSH PRIVATE KEY-----\n"
)
CONTRACT = "paperspace-v1.openapi.json"
Cloud = JudgedCloud[Paperspace]


@pytest.fixture
def cloud() -> Cloud:
    return JudgedCloud(Paperspace, CONTRACT)


def saying(status: int, **options: object) -> Paperspace:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, **options))
    return Paperspace(
        Account("mine", "paperspace"), {"api_key": "paperspace-secret-1"}, transport=answer, sleep=_at_once
    )  # fmt: skip


async def _at_once(seconds: float) -> None:
    return


async def test_a_good_key_is_told_by_its_owner(cloud):
    info = await cloud.here.verify()
    assert (info.who, info.rights) == ("rehearsal@example.com", frozenset(Right))
    assert (info.balance, [str(each) for each in info.limits]) == (None, ["At most 10 machines."])


async def test_a_wrong_key_and_a_weak_one_are_told_apart(cloud):
    with pytest.raises(AuthFailed) as wrong:
        await cloud.enter("paperspace-wrong-key").verify()
    assert wrong.value.cause == "bad_key"
    cloud.world.add_account("guest", "paperspace-weak", rights=frozenset({Right.SEE}))
    weak = cloud.enter("paperspace-weak")
    (offer, *_) = await weak.offers(Need())
    with pytest.raises(AuthFailed) as refused:
        await weak.create(Order("pd-1", offer, LINE))
    assert refused.value.cause == "missing_right"


async def test_a_key_by_which_nobody_is_known_is_a_wrong_key():
    here = saying(200, text="null")
    with pytest.raises(AuthFailed) as wrong:
        await here.verify()
    assert wrong.value.cause == "bad_key"
    await here.aclose()


async def test_a_list_whose_next_page_is_the_same_page_is_the_providers_fault():
    here = saying(200, json={"hasMore": True, "nextPage": "x", "items": []})
    with pytest.raises(ProviderFault, match="fault of its own"):
        await here.machines()
    await here.aclose()


async def test_prices_are_of_the_table_and_dated_and_the_stock_is_of_today(cloud):
    found = {(each.ref, each.region): each for each in await cloud.here.offers(Need())}
    # A100 is in the table and not rented here any more: it is left out.
    assert {ref for ref, _ in found} == {"A5000", "A6000", "A100-80G", "H100"}
    a6000 = found["A6000", "ny2"]
    assert (a6000.gpu, a6000.memory_gb, a6000.place) == ("RTX A6000", 48, "East Coast (NY2)")
    assert (a6000.price, a6000.estimated, a6000.price_date) == (1.89, True, "2026-09-20")
    assert a6000.stock is Stock.HIGH
    assert found["A5000", "ca1"].stock is Stock.NONE
    unpriced = found["A100-80G", "ny2"]
    assert (unpriced.price, unpriced.estimated, unpriced.price_date) == (None, False, "")
    assert not [each for each in await cloud.here.offers(Need(max_price=2)) if each.price is None]


async def test_long_lists_are_read_to_their_end():
    # Answers of that length are not judged, which takes seconds.
    cloud = JudgedCloud(Paperspace, CONTRACT, statuses=frozenset())
    account = cloud.world.account(cloud.key)
    cloud.world.set_free("A6000", "ny2", None)
    for number in range(250):
        cloud.world.create(
            account, "A6000", machine_id=f"ps{number}", region="ny2", name=f"pd-{number}",
            data={"ip": "dynamic", "event": "create", "auto": False},
        )  # fmt: skip
    found = await cloud.here.machines()
    assert len({each.id for each in found}) == 250
    assert cloud.judge.seen.count(("GET", "/v1/machines")) == 3


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        (Fault.NO_CAPACITY, NoCapacity, "sold_out"), (Fault.QUOTA, QuotaExceeded, "quota"),
        (Fault.NO_MONEY, OutOfFunds, "account_closed"), (Fault.WRONG_KEY, AuthFailed, "bad_key"),
        (Fault.FAIL_AFTER, ProviderFault, "fault"), (Fault.DROP_AFTER, Unreachable, "maybe_done"),
    ],
)  # fmt: skip
async def test_each_refusal_of_a_new_machine_is_told_and_its_script_goes_when_it_is_of_no_use(
    cloud, fault, kind, cause
):
    (offer, *_) = await cloud.here.offers(Need())
    of_calls = fault not in {Fault.NO_CAPACITY, Fault.QUOTA, Fault.NO_MONEY}
    cloud.world.faults.add(fault, times=1, calls="POST /v1/machines" if of_calls else "")
    with pytest.raises(kind) as refused:
        await cloud.here.create(Order("pd-1", offer, LINE, IDENTITY))
    assert refused.value.cause == cause
    perhaps_made = fault in {Fault.FAIL_AFTER, Fault.DROP_AFTER}
    assert bool(await cloud.here.find("pd-1")) is perhaps_made
    # It brings a host key: kept only for a machine that may be there.
    assert bool(cloud.world.things(None, "script")) is perhaps_made


async def test_sold_out_names_gpu_and_place(cloud):
    (offer, *_) = await cloud.here.offers(Need())
    cloud.world.set_free(offer.ref, offer.region, 0)
    with pytest.raises(NoCapacity, match=r"no RTX A5000 free in East Coast \(NY2\)"):
        await cloud.here.create(Order("pd-1", offer, LINE))


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause"),
    [
        (404, {"code": "NOT_FOUND", "message": "no"}, NotFound, "gone"),
        (409, {"code": "CONFLICT", "message": "out of capacity"}, NoCapacity, "sold_out"),
        (403, {"code": "X", "message": "machine limit reached"}, QuotaExceeded, "quota"),
        (400, {"code": "X", "message": "machine must be off"}, BadRequest, "wrong_state"),
        (400, {"code": "X", "message": "odd"}, BadRequest, "refused"),
        (500, {"code": "X", "message": "oh"}, ProviderFault, "fault"),
    ],
)  # fmt: skip
async def test_paperspaces_sentences_are_understood(status, body, kind, cause):
    here = saying(status, json=body)
    with pytest.raises(kind) as refused:
        await here.machines()
    assert refused.value.cause == cause
    await here.aclose()


@pytest.mark.parametrize(
    ("status", "text"), [(404, "<html>Not found</html>"), (410, "Gone"), (404, "{}")]
)
async def test_an_api_that_was_shut_is_called_so(status, text):
    here = saying(status, text=text)
    with pytest.raises(ProviderFault, match="may have been shut") as refused:
        await here.verify()
    assert (refused.value.cause, refused.value.retryable) == ("api_shut", False)
    assert "GPU Droplet" in str(refused.value.next)
    await here.aclose()


async def test_no_secret_comes_out_of_a_refusal_that_quotes_it():
    quoted = f"paperspace-secret-1 {IDENTITY.private}"
    here = saying(400, json={"code": "X", "message": quoted})
    with pytest.raises(BadRequest) as refused:
        await here.machines()
    told = f"{refused.value.as_dict()} {refused.value!r}"
    assert "paperspace-secret-1" not in told
    assert "BEGIN OPENSSH" not in told
    await here.aclose()
