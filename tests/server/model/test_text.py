"""Tokens become whole characters; what has no words says none."""

from __future__ import annotations

import pytest

from personaplex_server.model.pieces import sentencepiece_model, word_pieces
from personaplex_server.model.text import TextStream, Tokenizer
from personaplex_server.model.weights import TEXT_FILE


@pytest.fixture(scope="module")
def tokenizer(parity):
    return Tokenizer(parity.checkpoint, 512)


def stream(tokenizer, tokens):
    text = TextStream(tokenizer)
    return [text.push(token) for token in tokens]


def byte(value):
    return 4 + value


def test_words_come_with_their_spaces(tokenizer):
    tokens = tokenizer.encode("the cat")
    assert "".join(stream(tokenizer, tokens)) == " the cat"


def test_markers_and_padding_say_nothing(tokenizer):
    assert stream(tokenizer, [0, 1, 2, 3, -1]) == [""] * 5


@pytest.mark.parametrize("text", ["Grüße", "日本", "🚲", "naïve café"])
def test_characters_from_bytes(tokenizer, text):
    tokens = tokenizer.encode(text)
    assert any(4 <= token < 260 for token in tokens)
    said = stream(tokenizer, tokens)
    assert "".join(said).strip() == text
    assert all("\ufffd" not in each and "<0x" not in each for each in said)


def test_padding_may_come_between_the_bytes_of_a_character(tokenizer):
    said = stream(tokenizer, [byte(0xE2), 3, byte(0x82), 0, 3, byte(0xAC)])
    assert said == ["", "", "", "", "", "€"]


def test_half_a_character_does_not_swallow_what_follows(tokenizer):
    (word,) = tokenizer.encode("the")
    said = stream(tokenizer, [byte(0xE2), byte(0x82), word, word])
    assert said == ["", "", "\ufffd the", " the"]


def test_bytes_that_are_no_text(tokenizer):
    assert stream(tokenizer, [byte(0xFF), byte(0x41)]) == ["\ufffd", "A"]


@pytest.mark.parametrize("token", [512, 32_000, 10**9])
def test_tokens_without_a_piece(tokenizer, token):
    assert stream(tokenizer, [token]) == [""]
    assert tokenizer.piece(token) == f"<{token}>"


def test_names_of_pieces(tokenizer):
    assert [tokenizer.piece(i) for i in range(5)] == ["EPAD", "<s>", "</s>", "PAD", "<0x00>"]
    (word,) = tokenizer.encode("the")
    assert tokenizer.piece(word) == " the"
    assert tokenizer.piece(-1) == "<-1>"


def test_pieces_that_the_model_does_not_know(parity, caplog):
    small = Tokenizer(parity.checkpoint, 300)
    tokens = small.encode("zebra quality")
    assert max(tokens) < 300
    assert "unknown to the model" in caplog.text


def test_the_written_model(tmp_path):
    (tmp_path / TEXT_FILE).write_bytes(sentencepiece_model(512))
    own = Tokenizer(tmp_path, 512)
    text = "<system> You work for a small shop; it's 5 o'clock! Grüße 🚲 <system>"
    tokens = own.encode(text)
    assert "".join(stream(own, tokens)) == " " + text
    assert own.piece(511) == word_pieces(512)[-1].replace("\u2581", " ")
    with pytest.raises(ValueError, match="at most"):
        sentencepiece_model(5000)
