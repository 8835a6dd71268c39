from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from personadesk.domain.sample import Absent, Metric
from personadesk.domain.throttle import reasons
from personadesk.hosts import gpu_table

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("PERSONADESK_SHARED") or ROOT.parent / "shared")
REAL = sorted((SHARED / "reference" / "nvidia-smi").glob("*.json"))
OWN = sorted((ROOT / "tests" / "data" / "nvidia-smi").glob("*.json"))


OLD = {new: old for old, new in gpu_table.OLD_NAMES.items()}


def _rows(path: Path, state: str):
    """Each card's fields as its driver calls them, and its values."""
    for gpu in json.loads(path.read_text())["gpus"]:
        values = gpu[state]
        named = [field if field in values else OLD.get(field, "") for field in gpu_table.FIELDS]
        yield [field for field in named if field in values], values


def _cell(field: str, text: str, units: bool) -> str:
    """A value as the program prints it with or without units."""
    bare = not units and field != "name" and text[:1].isdigit()
    return text.split(" ")[0] if bare else text


@pytest.mark.parametrize("state", ["idle", "load"])
@pytest.mark.parametrize("path", [*OWN, *REAL], ids=lambda path: path.stem)
def test_every_recording_is_read_whole(path, state):
    for fields, values in _rows(path, state):
        for units in (True, False):
            cells = [_cell(field, values[field][1], units) for field in fields]
            row = gpu_table.read_row(", ".join(cells), fields)
            assert row is not None
            assert row.gpu.name == values["name"][1]
            assert row.gpu.divided == (values["mig.mode.current"][1] == "Enabled")
            found = {reading.metric: reading.value for reading in row.readings}
            assert set(found) == {*gpu_table.FIGURES.values(), Metric.GPU_THROTTLED}
            total = float(values["memory.total"][1].split()[0])
            assert found[Metric.GPU_MEMORY_TOTAL] == total * 1024 * 1024
            for field, metric in gpu_table.FIGURES.items():
                if field not in values:
                    continue
                text = values[field][1]
                told = text[:1].isdigit()
                assert isinstance(found[metric], float) == told, (field, text)
                if not told:
                    assert str(found[metric].reason).endswith((".", text))


def test_there_are_real_recordings_or_it_is_said_that_there_are_none():
    if not REAL:
        pytest.skip(f"no recordings in {SHARED}")
    assert any("mig" in path.stem for path in REAL)


def test_a_divided_card_says_so_in_place_of_its_use():
    [path] = [path for path in OWN if path.stem == "h100-parts"]
    [(fields, values)] = _rows(path, "idle")
    row = gpu_table.read_row(", ".join(values[field][1] for field in fields), fields)
    found = {reading.metric: reading.value for reading in row.readings}
    assert found[Metric.GPU_USE] == Absent(gpu_table.DIVIDED)
    assert isinstance(found[Metric.GPU_POWER], float)


@pytest.mark.parametrize(
    ("text", "throttled"),
    [("0x0000000000000001", 0.0), ("0x0000000000000004", 1.0), ("0x0000000000000048", 1.0),
     ("0x0000000000000002", 0.0)],
)  # fmt: skip
def test_only_what_holds_a_card_down_counts_as_throttling(text, throttled):
    row = gpu_table.read_row(f"0, {text}, X", ["index", "clocks_event_reasons.active", "name"])
    assert {r.metric: r.value for r in row.readings}[Metric.GPU_THROTTLED] == throttled


def test_what_holds_a_card_down_has_words():
    line = "0, 0x0000000000000064, 5, 16, X"
    fields = [
        "index",
        "clocks_event_reasons.active",
        "pcie.link.gen.current",
        "pcie.link.width.current",
        "name",
    ]
    row = gpu_table.read_row(line, fields)
    found = {r.metric: r.value for r in row.readings}
    words = [str(each) for each in reasons(found[Metric.GPU_THROTTLE_REASONS])]
    assert words == ["Its power limit", "Heat", "Heat, by the hardware"]
    assert (found[Metric.GPU_PCIE_GENERATION], found[Metric.GPU_PCIE_WIDTH]) == (5.0, 16.0)


@pytest.mark.parametrize(
    "line", ["", "No devices were found", "NVIDIA-SMI has failed, because", "Unable to, determine, the handle"]
)  # fmt: skip
def test_messages_are_no_rows(line):
    assert gpu_table.read_row(line, gpu_table.FIELDS) is None


def test_a_comma_in_the_name_does_no_harm():
    row = gpu_table.read_row("1, 5, Card, the great", ["index", "fan.speed", "name"])
    assert row.gpu.name == "Card, the great"


def test_a_word_that_is_not_known_is_handed_on():
    assert "Something New" in str(gpu_table.absent("[Something New]").reason)
