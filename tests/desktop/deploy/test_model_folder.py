from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from personadesk.deploy import model_folder
from personadesk.domain.errors import BadRequest


def _cause(folder: Path) -> str:
    with pytest.raises(BadRequest) as caught:
        model_folder.check(folder)
    assert caught.value.next
    return caught.value.cause


def test_a_whole_folder_passes_with_its_size(model: Path) -> None:
    assert model_folder.check(model) == sum(f.stat().st_size for f in model.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert _cause(tmp_path / "nowhere") == "model_missing"


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _cause(tmp_path / "file") == "model_missing"


@pytest.mark.parametrize("name", model_folder.FILES)
def test_a_missing_file(model: Path, name: str) -> None:
    (model / name).unlink()
    assert _cause(model) == "model_incomplete"


@pytest.mark.parametrize("name", [model_folder.LM_FILE, model_folder.CODEC_FILE])
@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04 a zip, or an old pickle" * 9,
                                     struct.pack("<Q", 5) + b"{nope", struct.pack("<Q", 2) + b"[]",
                                     struct.pack("<Q", 7) + b'{"a":1}'])  # fmt: skip
def test_what_is_not_safetensors(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content)
    assert _cause(model) == "model_not_safetensors"


def test_a_file_whose_end_is_missing(model: Path) -> None:
    path = model / model_folder.LM_FILE
    path.write_bytes(path.read_bytes()[:-1])
    assert _cause(model) == "model_truncated"
    path.write_bytes(path.read_bytes()[:20])
    assert _cause(model) == "model_truncated"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(model: Path) -> None:
    (model / model_folder.LM_FILE).chmod(0)
    assert _cause(model) == "model_unreadable"


def test_the_names_are_those_of_the_server() -> None:
    pytest.importorskip("torch")
    from personaplex_server.model import weights

    assert set(model_folder.FILES) == {weights.LM_FILE, weights.CODEC_FILE, weights.TEXT_FILE}
