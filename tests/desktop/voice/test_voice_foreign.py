"""The servers of others: kept under a name, opened by a token that no file has in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backends import fail

from personadesk.domain.errors import BadRequest, NotFound
from personadesk.store.database import Database
from personadesk.store.foreign import ForeignServer, ForeignStore
from personadesk.store.secrets import Secrets
from personadesk.store.vault import Vault
from personadesk.voice.foreign import ForeignServers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TOKEN = "a-token-that-nobody-may-read"
URL = "wss://voice.example.org/api/chat"


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """A computer without a keyring."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
async def secrets(tmp_path: Path) -> Secrets:
    """A vault in place of a keyring, opened by a passphrase."""
    made = Secrets(Vault(tmp_path / "vault"))
    await made.unlock("four plain words together")
    return made


@pytest.fixture
async def servers(tmp_path: Path, secrets: Secrets) -> AsyncIterator[ForeignServers]:
    database = Database(tmp_path / "data.db")
    await database.open()
    yield ForeignServers(ForeignStore(database), secrets, lambda: ["Front desk"])
    await database.close()


async def test_a_server_is_kept_with_its_token_and_no_file_shows_the_token(
    servers: ForeignServers, tmp_path: Path
) -> None:
    assert await servers.add("wss://voice.example.org", "Work", TOKEN) == (
        ForeignServer("Work", URL, has_token=True), True,
    )  # fmt: skip
    assert await servers.token_for(URL) == TOKEN
    found = await servers.callee("Work")
    assert found is not None
    assert (found.url, found.token, found.own) == (URL, TOKEN, False)
    assert TOKEN not in repr(found)
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert {"vault", "data.db"} <= {each.name for each in files}
    assert all(TOKEN.encode() not in each.read_bytes() for each in files)


async def test_a_token_in_a_pasted_address_is_taken_out_of_it(servers: ForeignServers) -> None:
    server, _kept = await servers.add(f"ws://10.0.0.7:8998/api/chat?engine=echo&token={TOKEN}")
    assert server == ForeignServer(
        "10.0.0.7:8998", "ws://10.0.0.7:8998/api/chat?engine=echo", has_token=True
    )
    assert await servers.token_for(server.url) == TOKEN


async def test_no_server_gets_the_token_of_another(servers: ForeignServers) -> None:
    await servers.add(URL, "Work", TOKEN)
    assert await servers.token_for("ws://voice.example.org/api/chat") is None
    assert await servers.token_for("wss://voice.example.org.evil.example/api/chat") is None
    assert await servers.callee("wss://elsewhere.example.org/api/chat") is None


async def test_a_token_is_replaced_and_forgotten_with_its_server(
    servers: ForeignServers, secrets: Secrets
) -> None:
    await servers.add(URL, "Work")
    assert await servers.token_for(URL) is None
    await servers.give_token("Work", f" {TOKEN}\n")
    assert await servers.token_for(URL) == TOKEN
    await servers.forget("Work")
    assert await servers.all() == ()
    assert await secrets.get("server-token Work") is None
    with pytest.raises(NotFound):
        await servers.give_token("Work", TOKEN)


@pytest.mark.parametrize(
    ("address", "name", "token", "cause"),
    [
        ("wss://user:word@voice.example.org", "", "", "password"),
        ("no address", "", "", "address"),
        (URL, "Front desk", "", "name_taken"),
        (URL, "n" * 41, "", "name"),
        (URL, "Work", "two words", "token"),
        (URL, "Work", "schlüssel", "token"),
    ],
)
async def test_what_cannot_be_kept_is_refused_in_words(
    servers: ForeignServers, address: str, name: str, token: str, cause: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        await servers.add(address, name, token)
    assert refused.value.cause == cause
    assert token == "" or token not in str(refused.value)
    assert await servers.all() == ()


async def test_an_address_is_kept_once(servers: ForeignServers) -> None:
    await servers.add(URL, "Work")
    with pytest.raises(BadRequest) as refused:
        await servers.add(f"{URL}?token={TOKEN}", "Again")
    assert refused.value.cause == "url_taken"


async def test_without_a_keyring_the_token_lasts_as_long_as_the_program(tmp_path: Path) -> None:
    database = Database(tmp_path / "data.db")
    await database.open()
    servers = ForeignServers(ForeignStore(database), Secrets(), list)
    _server, kept = await servers.add(URL, "Work", TOKEN)
    told = await servers.token_for(URL)
    await database.close()
    assert (kept, told) == (False, TOKEN)
