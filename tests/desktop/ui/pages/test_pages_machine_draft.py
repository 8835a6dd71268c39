"""The rules of the form that adds a machine, without a window."""

from __future__ import annotations

from pathlib import Path

import pytest

from personadesk.domain.host import KeySource, SshAddress
from personadesk.ui.servers.draft import (
    Login,
    MachineDraft,
    Spot,
    address_of,
    faults,
    record_of,
    tidied,
)

GOOD = MachineDraft("studio", "192.168.1.20", "22", "anna")


def told(draft: MachineDraft, *taken: str, has_password: bool = False) -> dict[Spot, str]:
    return {f.spot: str(f.what) for f in faults(draft, taken, has_password=has_password)}


def change(**fields: object) -> MachineDraft:
    return MachineDraft(**({"name": "studio", "address": "box", "port": "22"} | fields))  # type: ignore[arg-type]


def test_a_good_draft_has_no_fault_and_becomes_a_machine() -> None:
    assert told(GOOD) == {}
    record = record_of(GOOD)
    assert (record.name, record.address) == ("studio", SshAddress("192.168.1.20", 22, "anna"))
    assert (record.key_source, record.key_file) == (KeySource.FILE, "")


@pytest.mark.parametrize(
    ("draft", "spot", "sentence"),
    [
        (change(address=" "), Spot.ADDRESS, "Type the machine’s name or address."),
        (change(address="a b"), Spot.ADDRESS, "“a b” is not the address of a machine."),
        (change(port="0"), Spot.PORT, "A port is a number from 1 to 65535; SSH usually has 22."),
        (change(port="٢٢"), Spot.PORT, "A port is a number from 1 to 65535; SSH usually has 22."),
        (change(port="65536"), Spot.PORT, "A port is a number from 1 to 65535; SSH usually has 22."),
        (change(name="  "), Spot.NAME, "Give the machine a name."),
        (change(name="x" * 41), Spot.NAME,
         "A name has at most 40 characters; this one has 41."),
        (change(name="a\tb"), Spot.NAME, "This name has a character that cannot be shown."),
        (change(name="attic"), Spot.NAME,
         "There is a machine called “attic” already. Choose another name."),
        (change(user="-oProxy"), Spot.USER, "“-oProxy” cannot be the name of a user."),
        (change(key_file="/nowhere/key"), Spot.KEY, "There is no key file /nowhere/key."),
        (change(key_file="/k.pub"), Spot.KEY,
         "Choose the private key's file; it has no .pub at its end."),
        (change(login=Login.PASSWORD), Spot.PASSWORD,
         "Type the password; it is used once and not kept."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(
    draft: MachineDraft, spot: Spot, sentence: str
) -> None:
    assert told(draft, "attic") == {spot: sentence}


def test_a_key_file_matters_only_for_that_way_in() -> None:
    agent = change(login=Login.AGENT, key_file="/nowhere/key")
    assert told(agent) == {}
    assert record_of(agent).key_file == ""
    assert record_of(agent).key_source is KeySource.AGENT
    ours = change(login=Login.PASSWORD)
    assert told(ours, has_password=True) == {}
    assert record_of(ours).key_source is KeySource.OURS


def test_a_key_file_is_kept_with_its_whole_path(tmp_path: Path) -> None:
    key = Path("~/id_key").expanduser()
    key.write_text("key")
    assert told(change(key_file="~/id_key")) == {}
    assert record_of(change(key_file="~/id_key")).key_file == str(key)


@pytest.mark.parametrize(
    ("typed", "address", "port", "user"),
    [
        ("anna@box:2222", "box", "2222", "anna"),
        ("ssh://anna@box", "box", "22", "anna"),
        ("box", "box", "22", "bob"),
        ("[::1]:2200", "[::1]:2200", "22", "bob"),
    ],
)
def test_what_was_typed_with_the_address_goes_to_its_own_field(
    typed: str, address: str, port: str, user: str
) -> None:
    tidy = tidied(change(address=typed, user="bob", name=""))
    assert (tidy.address, tidy.port, tidy.user) == (address, port, user)
    assert tidy.name == ("::1" if address.startswith("[") else "box")


def test_an_address_of_six_bytes_keeps_its_port() -> None:
    assert address_of(change(address="[::1]:2200")) == SshAddress("::1", 2200, "")
    assert address_of(change(address="")) is None


def test_a_name_that_was_typed_is_kept() -> None:
    assert tidied(change(address="anna@box", name="mine")).name == "mine"
