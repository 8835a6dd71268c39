from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personadesk.hosts.exposition import parse


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("up 1", "up", {}, 1.0),
        ("up\t-1.5e-3", "up", {}, -0.0015),
        (" \tup  .5 \r", "up", {}, 0.5),
        ("up 1 1395066363000", "up", {}, 1.0),
        ("a:b_c9 +3.", "a:b_c9", {}, 3.0),
        ("up +Inf", "up", {}, math.inf),
        ("up -inf", "up", {}, -math.inf),
        ("up{} 2", "up", {}, 2.0),
        ("up{ } 2", "up", {}, 2.0),
        ('up{a="1"} 2', "up", {"a": "1"}, 2.0),
        ('up {a="1"}2', "up", {"a": "1"}, 2.0),
        ('up{a="1",b="",} 2', "up", {"a": "1", "b": ""}, 2.0),
        ('up{ a = "1" , b = "2" } 2 -5', "up", {"a": "1", "b": "2"}, 2.0),
        (r'up{a="q\"\\n\n"} 2', "up", {"a": 'q"\\n\n'}, 2.0),
        ('up{a="} 7, #é\u2028"} 2', "up", {"a": "} 7, #é\u2028"}, 2.0),
    ],
)
def test_lines_of_the_format(line: str, name: str, labels: dict[str, str], value: float):
    (point,) = parse(line)
    assert (point.name, dict(point.labels), point.value) == (name, labels, value)


def test_a_figure_may_be_no_number():
    (point,) = parse("up NaN\n")
    assert math.isnan(point.value)


def test_comments_and_empty_lines_are_passed_over():
    text = '# HELP up Is it?\n# TYPE up gauge\n\n  # {\nup{a="#"} 1\n#\nup 2'
    assert [point.value for point in parse(text)] == [1.0, 2.0]
    assert parse("") == ()


@pytest.mark.parametrize(
    "line",
    [
        "up", "up one", "up 1_000", "up \u0661", "up \u0131nf", "up 1 2 3", "up 1 soon", "1up 2", "{} 1",
        'up{a="1" 2', 'up{a="1} 2', "up{a=1} 2", 'up{="1"} 2', 'up{,} 2', 'up{a="1",,} 2',
        'up{a="1"b="2"} 2', 'up{a="1",a="2"} 2', r'up{a="\t"} 2', r'up{a="1\"} 2', "up-1 2",
        "<html>", '{"state": "ready"}', "up{", "up}1", "up1}1",
    ],
)  # fmt: skip
def test_other_lines_are_refused_by_their_number(line: str):
    with pytest.raises(ValueError, match="line 2: "):
        parse(f"ok 1\n{line}\nok 2")


@given(st.text(st.sampled_from('up{}="\\,n#.1e+- \t\n') | st.characters(), max_size=80))
def test_junk_is_read_or_refused_and_nothing_else(text: str):
    try:
        points = parse(text)
    except ValueError:
        return
    assert all(isinstance(point.value, float) and point.name for point in points)


LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)


@given(
    st.dictionaries(LABEL_NAMES, st.text(st.characters(exclude_categories=("Cs",)))),
    st.floats(allow_nan=False),
)
def test_what_is_written_by_the_rules_is_read_back(labels: dict[str, str], value: float):
    escaped = {
        key: each.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for key, each in labels.items()
    }
    inside = ",".join(f'{key}="{each}"' for key, each in escaped.items())
    (point,) = parse(f"x{{{inside}}} {value!r}\n")
    assert dict(point.labels) == labels
    assert point.value == value
