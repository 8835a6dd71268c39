from __future__ import annotations

import json
import logging
import logging.handlers
from collections.abc import Iterator
from pathlib import Path

import pytest

from personadesk.store import logs


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
        ("ws://127.0.0.1:1/api/chat?token=s3cretvalue&x=1", "s3cretvalue"),
        ('{"api_key": "zzz999zzz"}', "zzz999zzz"),
        ("using hf_AbCdEfGhIjKlMn to fetch", "AbCdEfGhIjKlMn"),
        ("password=hunter22 given", "hunter22"),
        ("https://joe:pa55word@host/simple", "pa55word"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    cleaned = logs.redact(text)
    assert secret not in cleaned
    assert "***" in cleaned


def test_plain_words_stay_as_they_are() -> None:
    text = "Collecting tokenizers==0.2 (line 12): 9 tokens a second, port 8998"
    assert logs.redact(text) == text


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[logging.Handler]:
    level = logging.getLogger().level
    handler = logs.set_up(tmp_path, name="here")
    yield handler
    logs.take_down(handler)
    logging.getLogger().setLevel(level)


def test_each_line_is_an_object_without_secrets(handler: logging.Handler, tmp_path: Path) -> None:
    log = logging.getLogger("personadesk.some.part")
    try:
        int("token=abcdefgh12345")
    except ValueError:
        log.info("said %s", "password=qwerty123", exc_info=True)
    handler.flush()
    (line,) = (tmp_path / "logs" / "here.log").read_text().splitlines()
    entry = json.loads(line)
    assert entry["logger"] == "personadesk.some.part"
    assert entry["message"] == "said password=***"
    assert "abcdefgh12345" not in line
    assert "ValueError" in entry["exception"]


def test_the_file_stays_small(
    handler: logging.handlers.RotatingFileHandler, tmp_path: Path
) -> None:
    handler.maxBytes = 2000
    for number in range(200):
        logging.getLogger("personadesk.x").info("line %d", number)
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == 1 + logs.LOG_FILES
    assert all(file.stat().st_size <= 2000 for file in files)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_full_disk_costs_lines_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "full.log").symlink_to("/dev/full")
    handler = logs.set_up(tmp_path, name="full")
    try:
        logging.getLogger("personadesk.test").info("nowhere to go")
    finally:
        logs.take_down(handler)
    assert capsys.readouterr().err == ""


def test_a_mistake_of_ours_in_a_log_line_is_not_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logs.set_up(tmp_path)
    record = logging.LogRecord("a", logging.INFO, "here", 1, "%d", ("word",), None)
    try:
        handler.handle(record)
    finally:
        logs.take_down(handler)
    assert "Logging error" in capsys.readouterr().err
