"""Who is let in before anything else is asked: pages, addresses, doors."""

from __future__ import annotations

import pytest
import websockets
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from personaplex_server.doorman import Doorman, Rules


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def visitor(rules: Rules, clock: Clock, address: str = "203.0.113.7", app=None) -> TestClient:
    return TestClient(
        Doorman(app or PlainTextResponse("in"), rules, clock), client=(address, 50000)
    )


def test_an_address_may_ask_so_often_a_minute(clock):
    guest = visitor(Rules(per_minute=3), clock)
    assert [guest.get("/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = guest.get("/")
    assert refused.headers["retry-after"] == "60"
    assert "60 seconds" in refused.json()["error"]
    clock.now = 61
    assert guest.get("/").status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_of_one_subscriber_count_as_one(clock, first, second, shared):
    doorman = Doorman(PlainTextResponse("in"), Rules(per_minute=1), clock)
    assert TestClient(doorman, client=(first, 1)).get("/").status_code == 200
    answer = TestClient(doorman, client=(second, 1)).get("/").status_code
    assert answer == (429 if shared else 200)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_computer_has_no_limit(clock, address):
    guest = visitor(Rules(per_minute=1, per_address=1), clock, address)
    assert {guest.get("/").status_code for _ in range(5)} == {200}


def test_an_address_may_have_so_many_connections_at_once(clock):
    inner = None

    async def app(scope, receive, send):
        nonlocal inner
        if inner is None:
            inner = visitor_again.get("/").status_code
        await PlainTextResponse("in")(scope, receive, send)

    doorman = Doorman(app, Rules(per_address=1), clock)
    outer, visitor_again = (TestClient(doorman, client=("203.0.113.7", n)) for n in (1, 2))
    assert outer.get("/").status_code == 200
    assert inner == 429
    assert outer.get("/").status_code == 200


def test_many_addresses_do_not_fill_the_memory(clock, monkeypatch):
    monkeypatch.setattr("personaplex_server.doorman._MOST_ADDRESSES", 10)
    doorman = Doorman(PlainTextResponse("in"), Rules(per_minute=5), clock)
    for number in range(40):
        assert TestClient(doorman, client=(f"203.0.113.{number}", 1)).get("/").status_code == 200
    assert len(doorman._visitors) <= 11


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://example.org", True),
        ("https://example.org:8443", False),
        ("http://example.org", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://testserver", True),
    ],
)
def test_pages_of_other_origins_are_refused_when_origins_are_named(clock, origin, allowed):
    guest = visitor(Rules(origins=frozenset({"https://example.org"})), clock)
    headers = {} if origin is None else {"origin": origin}
    assert guest.get("/", headers=headers).status_code == (200 if allowed else 403)


def test_calls_from_any_page_are_taken_unless_origins_are_named(serve, dial):
    """The released page calls other servers by `worker_addr`, with its own origin."""
    anywhere = serve()
    dial(anywhere.chat, origin="https://example.org").handshake()
    named = serve(rules=Rules(origins=frozenset({"https://example.org"})))
    dial(named.chat, origin="https://example.org").handshake()
    dial(named.chat).handshake()
    with pytest.raises(websockets.InvalidStatus) as caught:
        dial(named.chat, origin="https://evil.example")
    assert caught.value.response.status_code == 403


def test_the_door_for_health_leads_nowhere_else(clock):
    rules = Rules(health_port=81, health_path="/ready")
    doorman = Doorman(PlainTextResponse("in"), rules, clock)
    health = TestClient(doorman, base_url="http://testserver:81")
    assert health.get("/ready").status_code == 200
    assert health.get("/health").status_code == 404
    assert TestClient(doorman, base_url="http://testserver:80").get("/health").status_code == 200
