"""No text is forgotten in a language, and numbers and plurals come out as the language writes them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from personadesk.domain.text import T, Text
from personadesk.ui.i18n import LANGUAGES, PSEUDO, language, load_catalogue, mark, show, tr, trn

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def texts() -> ModuleType:
    """The collector of texts, a script of the packaging folder."""
    spec = importlib.util.spec_from_file_location("texts", ROOT / "packaging" / "texts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["texts"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[code for code in LANGUAGES if code != "en"])
def code(request: pytest.FixtureRequest) -> str:
    """Each language but English in turn."""
    chosen: str = request.param
    return chosen


def test_every_text_in_the_code_can_be_collected(texts: ModuleType) -> None:
    assert not texts.collect().faults


def test_every_text_is_translated(texts: ModuleType, code: str) -> None:
    found, catalogue = texts.collect(), load_catalogue(code)
    missing = [
        f"{where}: {text}" for text, where in found.texts.items() if not catalogue.texts.get(text)
    ]
    missing += [
        f"{where}: {pair}" for pair, where in found.plurals.items() if pair not in catalogue.plurals
    ]
    assert not missing, "python packaging/texts.py missing nl"


def test_no_translation_is_for_a_text_that_is_gone(texts: ModuleType, code: str) -> None:
    found, catalogue = texts.collect(), load_catalogue(code)
    assert not [text for text in catalogue.texts if text not in found.texts]
    assert not [pair for pair in catalogue.plurals if pair not in found.plurals]


def test_every_translation_has_the_same_placeholders(texts: ModuleType, code: str) -> None:
    catalogue = load_catalogue(code)
    pairs = [*catalogue.texts.items()]
    for (one, many), (one_target, many_target) in catalogue.plurals.items():
        pairs += [(one, one_target), (many, many_target)]
    wrong = [
        (source, target)
        for source, target in pairs
        if texts.placeholders(source) != texts.placeholders(target)
    ]
    assert not wrong


def test_every_translation_keeps_mnemonic_and_ellipsis(code: str) -> None:
    for source, target in load_catalogue(code).texts.items():
        assert source.count("&") == target.count("&"), source
        assert source.endswith("…") == target.endswith("…"), source


def test_dutch_is_shown_once_it_is_chosen() -> None:
    assert tr("Home") == "Home"
    language().choose("nl")
    assert tr("Home") == "Start"


def test_a_change_is_announced_once() -> None:
    heard: list[str] = []
    connection = language().language_changed.connect(lambda: heard.append(language().code))
    language().choose("nl")
    language().choose("nl")
    language().disconnect(connection)
    assert heard == ["nl"]


def test_an_unknown_language_means_english() -> None:
    language().choose("xx")
    assert language().code == "en"


def test_plurals_follow_the_number() -> None:
    forms = ("And {n} more message.", "And {n} more messages.")
    assert trn(*forms, 1) == "And 1 more message."
    assert trn(*forms, 3) == "And 3 more messages."
    language().choose("nl")
    assert trn(*forms, 1) == "En nog 1 bericht."
    assert trn(*forms, 3) == "En nog 3 berichten."


def test_decimals_are_written_as_the_language_does() -> None:
    assert tr("{seconds} s", seconds=0.5) == "0.5 s"
    language().choose("nl")
    assert tr("{seconds} s", seconds=0.5) == "0,5 s"
    assert tr("{seconds} s", seconds="v1.5") == "v1.5 s"


def test_a_sentence_from_below_the_window_is_translated_where_it_is_shown() -> None:
    sentence = Text(mark("Address of {owner}"), {"owner": "Front desk"})
    assert show(sentence) == "Address of Front desk"
    language().choose("nl")
    assert show(sentence) == "Adres van Front desk"
    assert show("kept as it is") == "kept as it is"


def test_a_sentence_within_a_sentence_is_translated_too() -> None:
    language().choose("nl")
    inner = T("Home")
    assert tr("Address of {owner}", owner=inner) == "Adres van Start"


def test_pseudo_language_is_forty_percent_longer_and_keeps_placeholders() -> None:
    language().choose(PSEUDO)
    assert "Front desk" in tr("Address of {owner}", owner="Front desk")
    assert "Address" not in tr("Address of {owner}", owner="Front desk")
    assert len(tr("Nothing costs money")) >= 1.3 * len("Nothing costs money")


def test_texts_of_users_with_braces_are_left_alone() -> None:
    assert tr("Address of {owner}", owner="{odd}") == "Address of {odd}"
