"""Machine code is kept for the next start, and made anew where what is kept cannot be relied on."""

from __future__ import annotations

import os
import stat

import pytest
import torch

from personaplex_server.kernels import cache, pointwise, trial
from personaplex_server.kernels.machine import Kernels


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_FOLDER", tmp_path / "kept")
    return tmp_path / "kept"


def test_what_is_kept_is_read_again(folder):
    place = cache.place("tick", "this processor")
    assert cache.read(place) is None
    cache.write(place, b"code")
    assert cache.read(place) == b"code"
    assert [each.name for each in folder.iterdir()] == [place.name]
    assert stat.S_IMODE(place.stat().st_mode) & 0o022 == 0


def test_each_processor_and_source_has_its_own(folder, monkeypatch, tmp_path):
    here = cache.place("tick", "this processor", 8)
    assert here == cache.place("tick", "this processor", 8)
    others = {cache.place("tick", "another", 8), cache.place("tick", "this processor", 4)}
    others.add(cache.place("attend", "this processor", 8))
    (tmp_path / "source.py").write_text("changed")
    monkeypatch.setattr(cache, "_HERE", tmp_path)
    others.add(cache.place("tick", "this processor", 8))
    assert len(others | {here}) == 5


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: data[:10], lambda data: b"",
                                  lambda data: data[:-1] + bytes([data[-1] ^ 1])])  # fmt: skip
def test_what_is_not_whole_is_not_used(folder, harm):
    place = cache.place("tick")
    cache.write(place, b"some machine code")
    place.write_bytes(harm(place.read_bytes()))
    assert cache.read(place) is None
    cache.write(place, b"anew")
    assert cache.read(place) == b"anew"


def test_what_belongs_to_another_place_is_not_used(folder):
    one, other = cache.place("tick", "one"), cache.place("tick", "other")
    cache.write(one, b"code")
    other.write_bytes(one.read_bytes())
    assert cache.read(other) is None


def test_where_nothing_can_be_kept_nothing_is(folder):
    folder.write_text("no folder")
    place = cache.place("tick")
    cache.write(place, b"code")
    assert cache.read(place) is None


def test_old_pieces_go(folder):
    for number in range(cache._AT_MOST + 4):
        place = cache.place("tick", number)
        cache.write(place, b"code")
        os.utime(place, (number, number))
    cache.write(cache.place("tick-tock"), b"code")
    left = list(folder.glob("tick-*"))
    assert cache.read(place) == b"code"
    assert len(left) == cache._AT_MOST + 1


def test_the_second_start_writes_nothing(native, folder, monkeypatch):
    first = Kernels()
    trial.check(first)
    kept = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert len(kept) == 1

    def writing(*given):
        raise AssertionError("machine code was written anew")

    monkeypatch.setattr(pointwise, "write", writing)
    second = Kernels()
    trial.check(second)
    x, out, again = torch.randn(40), torch.empty(40), torch.empty(40)
    first.gelu(x.data_ptr(), out.data_ptr(), 40)
    second.gelu(x.data_ptr(), again.data_ptr(), 40)
    assert torch.equal(out, again)
    for path in folder.iterdir():
        path.write_bytes(b"harmed")
    with pytest.raises(AssertionError, match="written anew"):
        Kernels()
