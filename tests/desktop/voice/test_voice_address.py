from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from personadesk.domain.errors import BadRequest
from personadesk.voice.address import PERSONA, parse


@pytest.mark.parametrize(
    ("typed", "shown", "port", "secure"),
    [
        ("ws://127.0.0.1:8998/api/chat", "ws://127.0.0.1:8998/api/chat", 8998, False),
        ("127.0.0.1:8998", "ws://127.0.0.1:8998/api/chat", 8998, False),
        ("localhost", "ws://localhost/api/chat", 80, False),
        ("http://gpu:8998/", "ws://gpu:8998/api/chat", 8998, False),
        (" https://voice.example.com ", "wss://voice.example.com/api/chat", 443, True),
        ("WSS://h/other/path?a=1", "wss://h/other/path", 443, True),
        ("ws://[::1]:8998", "ws://[::1]:8998/api/chat", 8998, False),
        ("ws://me:secret@h:1/?token=t", "ws://h:1/api/chat", 1, False),
    ],
)
def test_what_people_type_becomes_what_is_called(
    typed: str, shown: str, port: int, secure: bool
) -> None:
    address = parse(typed)
    assert (address.shown, address.port, address.secure) == (shown, port, secure)
    assert urlsplit(address.url)._replace(query="").geturl().endswith(urlsplit(shown).path)


def query(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query, True).items()}


def test_a_voice_and_a_role_are_named_because_the_reference_hangs_up_without() -> None:
    assert query(parse("ws://h:1").url) == PERSONA
    assert "seed" not in query(parse("ws://h:1").url)


def test_the_querys_own_values_stay_and_ours_come_over_them() -> None:
    url = parse("ws://h:1/?voice_prompt=me.pt&x=1&text_prompt=", {"engine": "echo", "x": "2"}).url
    assert query(url) == {"voice_prompt": "me.pt", "text_prompt": "", "x": "2", "engine": "echo"}


@pytest.mark.parametrize(
    "typed",
    ["", "ws://", "ftp://h/", "ws://h:99999", "ws://h:0", "ws://a b/", "ws://[::1", "ws://h:x"],
)
def test_what_is_no_address_is_refused_in_words(typed: str) -> None:
    with pytest.raises(BadRequest, match="is not the address of a voice") as caught:
        parse(typed)
    assert str(caught.value.next) == "An address looks like ws://127.0.0.1:8998/api/chat."


def test_a_refused_address_repeats_no_secret() -> None:
    with pytest.raises(BadRequest) as caught:
        parse("ftp://me:secret@h/?token=hidden")
    assert "secret" not in str(caught.value.as_dict())
    assert "hidden" not in str(caught.value.as_dict())


def test_this_computer_is_known_under_its_names() -> None:
    assert all(parse(host).loopback for host in ("localhost:1", "127.0.0.2:1", "[::1]:1"))
    assert not parse("192.168.1.2:1").loopback
    assert parse("[::1]:7").http("/health") == "http://[::1]:7/health"
