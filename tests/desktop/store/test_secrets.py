from __future__ import annotations

import keyring
import keyring.backend
import pytest
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

from personadesk.domain.errors import HostUnfit
from personadesk.store.secrets import Secrets, variable


class _Memory(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self):
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        try:
            del self.kept[service, username]
        except KeyError:
            raise PasswordDeleteError(username) from None


@pytest.fixture
def use():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


async def test_a_secret_is_kept_and_forgotten_by_the_keyring(use):
    backend = _Memory()
    use(backend)
    secrets = Secrets()
    assert await secrets.get("ssh key /k") is None
    await secrets.put("ssh key /k", "sesame")
    assert backend.kept == {("PersonaDesk", "ssh key /k"): "sesame"}
    assert await secrets.get("ssh key /k") == "sesame"
    await secrets.delete("ssh key /k")
    await secrets.delete("ssh key /k")
    assert backend.kept == {}


async def test_without_a_keyring_it_is_said_and_a_variable_can_stand_in(use, monkeypatch):
    use(fail.Keyring())
    secrets = Secrets()
    assert await secrets.get("ssh key /k") is None
    with pytest.raises(HostUnfit, match="no keyring"):
        await secrets.put("ssh key /k", "x")
    await secrets.delete("ssh key /k")
    assert variable("ssh key /k") == "PERSONADESK_SECRET_SSH_KEY_K"
    monkeypatch.setenv("PERSONADESK_SECRET_SSH_KEY_K", "given")
    assert await secrets.get("ssh key /k") == "given"
