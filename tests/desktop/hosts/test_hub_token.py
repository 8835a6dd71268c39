from __future__ import annotations

from pathlib import Path

import pytest

from personadesk.hosts import hub_token


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_none_is_none(tmp_path: Path) -> None:
    assert hub_token.find({}, tmp_path) is None


def test_the_variable_comes_first(tmp_path: Path) -> None:
    put(tmp_path / ".cache/huggingface/token", "hf_file")
    found = hub_token.find({"HF_TOKEN": " hf_variable\n"}, tmp_path)
    assert found is not None
    assert found.token == "hf_variable"
    assert str(found.source) == "the variable HF_TOKEN"


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, ".cache/huggingface/token"),
        ({"HF_TOKEN": "  "}, ".cache/huggingface/token"),
        ({"HF_HOME": "~/hub"}, "hub/token"),
        ({"HF_TOKEN_PATH": "~/my-token", "HF_HOME": "~/hub"}, "my-token"),
        ({"XDG_CACHE_HOME": "~/xdg"}, "xdg/huggingface/token"),
        ({}, ".huggingface/token"),
    ],
)
def test_the_usual_files_are_looked_at(
    tmp_path: Path, variables: dict[str, str], place: str
) -> None:
    path = put(tmp_path / place, "hf_file\n")
    found = hub_token.find(variables, tmp_path)
    assert found is not None
    assert found.token == "hf_file"
    assert str(path) in str(found.source)


@pytest.mark.parametrize("text", ["", "\n", "two words", "hf_ü", "hf_\x00"])
def test_what_is_no_token_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    put(tmp_path / ".cache/huggingface/token", text)
    assert hub_token.find({"HF_TOKEN": text}, tmp_path) is None


def test_a_token_is_not_printed(tmp_path: Path) -> None:
    found = hub_token.find({"HF_TOKEN": "hf_secret"}, tmp_path)
    assert "hf_secret" not in repr(found)


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    put(tmp_path / ".cache/huggingface/token", "").write_bytes(b"\xff\xfe")
    assert hub_token.find({}, tmp_path) is None
