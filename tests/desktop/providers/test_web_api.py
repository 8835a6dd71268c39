"""The way to a web API: what is retried, what is refused in which of our words, and that no secret comes out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import msgspec
import pytest

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NotFound,
    OutOfFunds,
    ProviderFault,
    RateLimited,
    Unreachable,
)
from personadesk.domain.provider import (
    Ability,
    Answer,
    Capabilities,
    FourAnswers,
    Manners,
    Promise,
    ProviderFacts,
)
from personadesk.domain.text import T
from personadesk.providers.web import Api

NO = Ability(can=False)
ANSWER = Promise(Answer.NO, T("No."))
FACTS = ProviderFacts(
    id="toy", title="Toy", site="https://toy.invalid", billing="https://toy.invalid/billing",
    docs="", fields=(), can=Capabilities(*[NO] * 14), answers=FourAnswers(*[ANSWER] * 4),
    base_url="https://api.toy.invalid",
)  # fmt: skip
KEY = "sk-very-secret"


class Thing(msgspec.Struct):
    id: str
    size: float = 0.0


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def api(answers, clock: Clock | None = None, requests: list[httpx.Request] | None = None) -> Api:
    queue = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if requests is not None:
            requests.append(request)
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def headers():
        return {"Authorization": f"Bearer {KEY}"}

    return Api(
        FACTS, "mine", FACTS.base_url, headers=headers, refusal=lambda problem: None,
        secrets=[KEY], transport=httpx.MockTransport(handle), sleep=(clock or Clock()).sleep,
        jitter=lambda: 0.5,
    )  # fmt: skip


async def test_an_answer_is_typed_and_unknown_fields_are_ignored():
    requests: list[httpx.Request] = []
    there = api([httpx.Response(200, json={"id": "a", "size": 2, "new": []})], requests=requests)
    assert await there.call("GET", "/things", Thing, params={"q": "1"}) == Thing("a", 2.0)
    assert str(requests[0].url) == "https://api.toy.invalid/things?q=1"
    assert requests[0].headers["authorization"] == f"Bearer {KEY}"
    await there.aclose()


async def test_reading_is_tried_again_and_the_provider_names_the_pause():
    clock = Clock()
    busy = httpx.Response(503)
    often = httpx.Response(429, headers={"Retry-After": "7"})
    there = api([busy, often, httpx.Response(200, json={"id": "a"})], clock)
    assert (await there.call("GET", "/things", Thing)).id == "a"
    assert clock.slept[0] == pytest.approx(0.5)
    assert 7.0 in clock.slept


async def test_a_change_is_never_asked_twice_when_it_may_have_taken_effect():
    requests: list[httpx.Request] = []
    there = api([httpx.ReadTimeout("too late")], requests=requests)
    with pytest.raises(Unreachable) as found:
        await there.call("POST", "/things", json={})
    assert (found.value.cause, len(requests)) == ("maybe_done", 1)
    there = api([httpx.Response(500)], requests=requests)
    with pytest.raises(ProviderFault):
        await there.call("POST", "/things", json={})
    assert len(requests) == 2
    # One that did not arrive may.
    there = api([httpx.ConnectError("no way"), httpx.Response(200, json={"id": "b"})])
    assert (await there.call("POST", "/things", Thing, json={})).id == "b"


async def test_a_provider_that_wants_long_pauses_is_not_waited_for():
    there = api([httpx.Response(429, headers={"Retry-After": "600"})])
    with pytest.raises(RateLimited) as found:
        await there.call("GET", "/things", Thing)
    assert found.value.retry_after_s == 600


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (401, AuthFailed, "bad_key"), (402, OutOfFunds, "no_money"), (403, AuthFailed, "missing_right"),
        (404, NotFound, "gone"), (410, NotFound, "gone"), (400, BadRequest, "refused"),
        (422, BadRequest, "refused"),
    ],
)  # fmt: skip
async def test_refusals_are_told_in_our_words_with_the_raw_answer_aside(status, kind, cause):
    body = {"error": {"code": "odd", "message": f"not with {KEY}"}}
    there = api([httpx.Response(status, json=body, headers={"X-Request-Id": "r-1"})])
    with pytest.raises(kind) as found:
        await there.call("GET", "/things", Thing)
    error = found.value
    assert (error.cause, error.provider_status, error.request_id) == (cause, status, "r-1")
    assert "odd" in error.details
    assert KEY not in f"{error.details}{error.what}{error.next}{error!r}"


async def test_an_answer_that_nobody_can_read_is_the_providers_fault():
    there = api([httpx.Response(200, text="<html>soon</html>")])
    with pytest.raises(ProviderFault, match="fault of its own") as found:
        await there.call("GET", "/things", Thing)
    assert "soon" in found.value.details


async def test_a_page_elsewhere_is_not_shown_the_key():
    requests: list[httpx.Request] = []
    there = api([], requests=requests)
    with pytest.raises(ProviderFault):
        await there.call("GET", "https://elsewhere.invalid/next", Thing)
    assert requests == []


async def test_a_redirect_within_the_api_is_followed_with_method_body_and_key():
    requests: list[httpx.Request] = []
    to = {"Location": "https://api.toy.invalid/things/1/"}
    there = api(
        [httpx.Response(301, headers=to), httpx.Response(200, json={"id": "a"})], requests=requests
    )
    assert (await there.call("PUT", "/things/1", Thing, json={"x": 1})).id == "a"
    first, second = requests
    assert (second.method, second.url.path) == ("PUT", "/things/1/")
    assert second.content == first.content
    assert second.headers["authorization"] == f"Bearer {KEY}"
    assert second.headers["content-type"] == "application/json"


@pytest.mark.parametrize("place", ["https://elsewhere.invalid/x", "https://api.toy.invalid.evil/x"])
async def test_a_redirect_elsewhere_is_not_shown_the_key(place: str):
    requests: list[httpx.Request] = []
    there = api([httpx.Response(302, headers={"Location": place})], requests=requests)
    with pytest.raises(ProviderFault):
        await there.call("POST", "/things", Thing, json={})
    assert len(requests) == 1


async def test_a_circle_of_redirects_ends():
    round_ = httpx.Response(308, headers={"Location": "/things"})
    there = api([round_] * 3)
    with pytest.raises(ProviderFault, match="fault"):
        await there.call("PUT", "/things", Thing, json={})


class Endless(httpx.AsyncByteStream):
    """A stream of events that never ends."""

    async def __aiter__(self):
        yield b"id: 1\ndata: first\n\ndata:second\n\n"
        await asyncio.sleep(60)


async def test_a_stream_of_events_is_heard_for_a_while():
    there = api([httpx.Response(200, stream=Endless())])
    assert await there.events("/log", seconds=0.2) == ["first", "second"]
    there = api([httpx.Response(404, json={"detail": "no pod"})])
    with pytest.raises(NotFound):
        await there.events("/log")


async def test_what_lies_elsewhere_is_asked_for_without_the_key():
    requests: list[httpx.Request] = []
    there = api([httpx.Response(200, text="a log"), httpx.Response(403)], requests=requests)
    assert await there.elsewhere("https://store.invalid/log?signed=1") == "a log"
    assert "authorization" not in requests[0].headers
    assert await there.elsewhere("https://store.invalid/log") is None


async def test_creations_keep_the_distance_that_the_provider_wants():
    clock = Clock()

    async def headers():
        return {}

    apart = replace(FACTS, manners=Manners(per_second=1000.0, burst=10, create_every_s=12.0))
    there = Api(
        apart, "mine", FACTS.base_url, headers=headers, refusal=lambda problem: None,
        transport=httpx.MockTransport(lambda request: httpx.Response(200)), sleep=clock.sleep,
    )  # fmt: skip
    await there.call("POST", "/things", json={}, creates=True)
    await there.call("GET", "/things")
    assert clock.slept == []
    await there.call("POST", "/things", json={}, creates=True)
    assert clock.slept == [pytest.approx(12.0, abs=1.0)]
    await there.aclose()
