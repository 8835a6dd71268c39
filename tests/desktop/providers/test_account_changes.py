"""What one process does to an account, another that is running notices at its next use."""

from __future__ import annotations

import keyring
import pytest
from keyring.backend import KeyringBackend

from personadesk.domain.account import AccountInfo
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.providers.accounts import Accounts, Given
from personadesk.store.accounts import AccountStore
from personadesk.store.database import Database
from personadesk.store.secrets import Secrets


class Keyring(KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Known:
    """A provider that only knows its key."""

    def __init__(self, account, secrets) -> None:
        self.account, self.key, self.closed = account, secrets["api_key"], False

    async def verify(self) -> AccountInfo:
        return AccountInfo(who=self.key[-6:])

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def safe():
    before = keyring.get_keyring()
    made = Keyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
async def processes(tmp_path, safe):
    """Two processes at one database and one keyring."""
    databases = [Database(tmp_path / "personadesk.db") for _ in range(2)]
    made = []
    for database in databases:
        await database.open()
        made.append(Accounts(AccountStore(database), Secrets(), Known))  # type: ignore[arg-type]
    await made[0].add(Given("mine", "runpod", {"api_key": "rpa_FIRSTFIRSTFIRST1"}))
    yield made
    for accounts, database in zip(made, databases, strict=True):
        await accounts.close()
        await database.close()


async def test_a_new_key_is_taken_at_the_next_use_and_a_use_that_goes_on_is_not_cut(processes):
    window, background = processes
    old = await background.provider("mine")
    assert await background.provider("mine") is old
    await background.check("mine")
    told = []
    background.subscribe(lambda: told.append(1))
    await window.replace("mine", {"api_key": "rpa_SECONDSECONDSEC2"})
    fresh = await background.provider("mine")
    assert (fresh.key, old.key) == ("rpa_SECONDSECONDSEC2", "rpa_FIRSTFIRSTFIRST1")
    assert (await window.provider("mine")).key == fresh.key
    assert (told, background.info("mine")) == ([1], None)
    assert not old.closed, "a deploy may still wait with it"
    await background.close()
    assert old.closed
    assert fresh.closed


async def test_an_account_that_is_gone_is_used_by_nobody(processes):
    window, background = processes
    await background.provider("mine")
    await window.remove("mine")
    with pytest.raises(NotFound):
        await background.provider("mine")


async def test_a_removed_account_comes_back_whole_and_without_its_removal_in_the_keyring(
    processes, safe
):
    window, background = processes
    account = (await window.all())[0]
    removed = await window.remove("mine")
    assert safe.kept == {}
    assert "rpa_" not in repr(removed)
    await window.restore(removed)
    assert await window.all() == (account,)
    assert window.info("mine").who == "FIRST1"
    assert (await background.check("mine")).who == "FIRST1"
    with pytest.raises(BadRequest):
        await window.restore(removed)
