"""The file that a passphrase opens: nothing readable in it, nothing lost, nothing changed unnoticed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading

import keyring
import pytest
from keyring.backends import fail

from personadesk.domain.errors import AuthFailed, BadRequest, HostUnfit
from personadesk.store.secrets import VAULT_VARIABLE, Place, Secrets
from personadesk.store.vault import Cost, Vault

QUICK = Cost(n=1 << 10)
PASSPHRASE = "correct horse battery"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "secrets.vault"


@pytest.fixture
def no_keyring():
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def test_what_was_put_is_there_for_who_knows_the_passphrase_and_for_nobody_else(path):
    first = Vault(path, QUICK)
    first.unlock(PASSPHRASE)
    first.put("account Pods api_key", "rpa_verysecret")
    second = Vault(path, QUICK)
    with pytest.raises(AuthFailed) as told:
        second.unlock("correct horse")
    assert told.value.cause == "wrong_passphrase"
    assert not second.is_open
    with pytest.raises(AuthFailed, match="passphrase"):
        second.get("account Pods api_key")
    second.unlock(PASSPHRASE)
    assert second.get("account Pods api_key") == "rpa_verysecret"
    second.delete("account Pods api_key")
    assert first.get("account Pods api_key") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or sys.platform == "win32"


def test_neither_names_nor_values_can_be_read_in_the_file(path):
    vault = Vault(path, QUICK)
    vault.unlock(PASSPHRASE)
    vault.put("account Pods api_key", "rpa_verysecret")
    content = path.read_text()
    assert not any(word in content for word in ("Pods", "api_key", "verysecret", "horse"))
    before = json.loads(content)
    vault.put("another", "x")
    after = json.loads(path.read_text())
    assert before["nonce"] != after["nonce"], "a nonce is never used twice"
    assert before["salt"] == after["salt"]


@pytest.mark.parametrize("part", ["sealed", "salt", "nonce", "n"])
def test_a_changed_byte_is_noticed(path, part):
    vault = Vault(path, QUICK)
    vault.unlock(PASSPHRASE)
    vault.put("name", "value")
    held = json.loads(path.read_text())
    if part == "n":
        held["n"] = 1 << 11
    else:
        held[part] = ("A" if held[part][0] != "A" else "B") + held[part][1:]
    path.write_text(json.dumps(held))
    with pytest.raises(AuthFailed) as told:
        Vault(path).unlock(PASSPHRASE)
    assert told.value.cause == "wrong_passphrase"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1, "n": 1073741824, "r": 8}'])
def test_a_file_of_somebody_else_is_left_alone(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(HostUnfit) as told:
        Vault(path).unlock(PASSPHRASE)
    assert told.value.cause == "vault_broken"
    assert path.read_text() == content


def test_a_short_passphrase_makes_no_file(path):
    with pytest.raises(BadRequest, match="too short"):
        Vault(path).unlock("sesame")
    assert not path.exists()


def test_two_programs_at_once_lose_nothing(path):
    Vault(path, QUICK).unlock(PASSPHRASE)

    def work(number: int) -> None:
        vault = Vault(path, QUICK)
        vault.unlock(PASSPHRASE)
        for each in range(5):
            vault.put(f"{number} {each}", "x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = Vault(path, QUICK)
    vault.unlock(PASSPHRASE)
    assert all(vault.get(f"{n} {each}") == "x" for n in range(4) for each in range(5))


@pytest.mark.usefixtures("no_keyring")
async def test_without_a_keyring_the_user_chooses_memory_or_the_file(path):
    secrets = Secrets(Vault(path, QUICK))
    with pytest.raises(HostUnfit):
        await secrets.put("key", "one")
    secrets.keep_in_memory()
    await secrets.put("key", "one")
    assert await secrets.look("key") == (Place.MEMORY, "one")
    assert await Secrets().get("key") is None
    await secrets.unlock(PASSPHRASE)
    await secrets.put("key", "two")
    assert await secrets.look("key") == (Place.FILE, "two")
    later = Secrets(Vault(path, QUICK))
    assert later.locked
    assert await later.get("key") is None
    await later.unlock(PASSPHRASE)
    assert await later.get("key") == "two"
    await later.delete("key")
    assert await secrets.look("key") == (Place.NOWHERE, None)


@pytest.mark.usefixtures("no_keyring")
async def test_a_file_with_the_passphrase_opens_it_without_a_screen(path, tmp_path, monkeypatch):
    note = tmp_path / "passphrase"
    note.write_text(f"{PASSPHRASE}\nand nothing else\n")
    monkeypatch.setenv(VAULT_VARIABLE, str(note))
    secrets = Secrets(Vault(path, QUICK))
    await secrets.put("key", "one")
    assert await Secrets(Vault(path)).look("key") == (Place.FILE, "one")
    monkeypatch.setenv(VAULT_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(AuthFailed) as told:
        await Secrets(Vault(path)).get("key")
    assert told.value.cause == "no_passphrase"


def test_the_first_start_does_not_load_the_ciphers():
    code = "import sys, personadesk.store.vault; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
