"""Sentences survive the journal with their template, also those that name another sentence."""

from __future__ import annotations

from personadesk.domain.text import NOTHING, T
from personadesk.store.coding import text_from_json, text_to_json


def test_a_sentence_keeps_its_template_and_the_sentences_in_it():
    told = T("{figure} is {value}, the limit is {limit}.", figure=T("Jitter"), value=41.5, limit=40)
    kept = text_from_json(text_to_json(told))
    assert kept == told
    assert str(kept) == "Jitter is 41.5, the limit is 40."


def test_no_sentence_stays_none():
    assert text_from_json(text_to_json(NOTHING)) == NOTHING
