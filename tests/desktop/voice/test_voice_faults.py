from __future__ import annotations

import ssl

import pytest

from personadesk.domain.errors import BadRequest, PersonaDeskError, Unreachable
from personadesk.voice.address import parse
from personadesk.voice.faults import from_connect

SECURE = parse("wss://voice.example.com/api/chat?token=hidden")


@pytest.mark.parametrize(
    ("error", "kind", "cause", "words"),
    [
        (ssl.SSLCertVerificationError(1, "self-signed"), Unreachable, "certificate",
         "The certificate of voice.example.com:443 is not one that this computer trusts."),
        (ssl.SSLError(1, "wrong version number"), BadRequest, "not_encrypted", "does not speak encrypted"),
        (ImportError("python-socks is required"), BadRequest, "proxy", "The proxy of this computer"),
        (OSError(113, "No route to host"), Unreachable, "network", "cannot be reached"),
        (OSError("Multiple exceptions: [Errno 111] Connection refused, [Errno 111] Connection refused"),
         Unreachable, "refused", "Nothing listens"),
        (ConnectionResetError(104, "reset by peer"), Unreachable, "network", "cannot be reached"),
    ],
)  # fmt: skip
def test_each_way_not_to_connect_has_its_sentence(
    error: Exception, kind: type[PersonaDeskError], cause: str, words: str
) -> None:
    fault = from_connect(error, SECURE, 10)
    assert type(fault) is kind
    assert fault.cause == cause
    assert words in str(fault)
    assert fault.next
    assert type(error).__name__ in fault.details
    assert "hidden" not in str(fault.as_dict())


def test_our_own_mistakes_are_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        from_connect(ZeroDivisionError(), SECURE, 10)
