from __future__ import annotations

import pytest

from personadesk.domain.sample import Absent, Gpu, Metric
from personadesk.hosts import exposition
from personadesk.hosts.proc_figures import FIRST, NOT_TOLD
from personadesk.hosts.server_figures import (
    NO_NUMBER,
    NO_TICK,
    NOT_ON_PAGE,
    ONLY_WHEN_HELD,
    ServerFigures,
)
from personaplex_server.metrics import Page, add_machine

PAGE = """personaplex_info{{engine="personaplex",version="1",instance="{instance}"}} 1
personaplex_sessions{{engine="echo"}} 0
personaplex_sessions{{engine="personaplex"}} {sessions}
personaplex_queue{{engine="echo"}} 0
personaplex_queue{{engine="personaplex"}} 4
personaplex_tick_seconds_bucket{{engine="personaplex",le="+Inf"}} {count}
personaplex_tick_seconds_sum{{engine="personaplex"}} {total}
personaplex_tick_seconds_count{{engine="personaplex"}} {count}
personaplex_cpu_load 0.91
personaplex_host_memory_total_mebibytes 1000
personaplex_host_memory_free_mebibytes 400
"""


def _take(figures: ServerFigures, **values: object):
    text = PAGE.format(**{"instance": "a", "sessions": 2, "count": 0, "total": 0} | values)
    readings, gpus = figures.take(exposition.parse(text))
    assert gpus == ()
    return {(each.metric, each.part): each.value for each in readings}


def test_the_answering_engine_has_no_part_and_others_their_names():
    told = _take(ServerFigures())
    assert told[Metric.SERVER_SESSIONS, ""] == 2
    assert told[Metric.SERVER_QUEUE, ""] == 4
    assert told[Metric.SERVER_SESSIONS, "echo"] == told[Metric.SERVER_QUEUE, "echo"] == 0
    assert told[Metric.SERVER_TICK, "echo"] == NOT_ON_PAGE
    assert (Metric.SERVER_SESSIONS, "personaplex") not in told
    assert told[Metric.LOAD, ""] == 0.91
    assert told[Metric.MEMORY_TOTAL, ""] == 1000 << 20
    assert told[Metric.MEMORY_USED, ""] == 600 << 20


def test_memory_is_split_where_the_engine_tells():
    page = PAGE.format(instance="a", sessions=1, count=0, total=0)
    for figure, value in (("weights_bytes", 700), ("rows_bytes", 50), ("prompts_bytes", 6)):
        page += f'personaplex_engine_figure{{engine="personaplex",figure="{figure}"}} {value}\n'
    readings, _ = ServerFigures().take(exposition.parse(page))
    told = {(each.metric, each.part): each.value for each in readings}
    assert (told[Metric.SERVER_MEMORY_MODEL, ""], told[Metric.SERVER_MEMORY_CALLS, ""]) == (700, 56)
    assert (Metric.SERVER_MEMORY_MODEL, "echo") not in told
    assert (Metric.SERVER_MEMORY_MODEL, "") not in _take(ServerFigures())


def test_a_tick_is_the_mean_since_the_last_look():
    figures = ServerFigures()
    tick = (Metric.SERVER_TICK, "")
    assert _take(figures, count=10, total=9.0)[tick] == FIRST
    assert _take(figures, count=30, total=10.0)[tick] == pytest.approx(50.0)
    assert _take(figures, count=30, total=10.0)[tick] == NO_TICK
    assert _take(figures, count=5, total=0.2)[tick] == FIRST
    assert _take(figures, count=40, total=2.0, instance="b")[tick] == FIRST
    assert _take(figures, count=50, total=2.2, instance="b")[tick] == pytest.approx(20.0)
    figures.forget()
    assert _take(figures, count=60, total=2.4, instance="b")[tick] == FIRST


def test_what_is_no_number_says_so():
    told = _take(ServerFigures(), sessions="NaN", count="+Inf")
    assert told[Metric.SERVER_SESSIONS, ""] == told[Metric.SERVER_TICK, ""] == NO_NUMBER


def test_a_page_without_the_figures_gives_reasons():
    readings, _ = ServerFigures().take(exposition.parse("personaplex_uptime_seconds 1"))
    told = {each.metric: each.value for each in readings}
    assert told[Metric.SERVER_SESSIONS] == told[Metric.SERVER_TICK] == NOT_ON_PAGE
    assert told[Metric.LOAD] == told[Metric.MEMORY_USED] == NOT_TOLD


def test_cards_are_told_as_the_server_writes_them():
    page = Page()
    whole = {
        "name": 'H100 "80\\GB"', "utilisation": 97, "memory_used_mib": 1, "memory_total_mib": 2,
        "power_w": 350.5, "temperature_c": 60, "clock_mhz": 1980, "ecc_uncorrected": 0,
        "throttled": ["heat"], "pcie_generation": 4, "pcie_sent_kib_s": 3,
    }  # fmt: skip
    level = {"name": "L40S", "memory_total_mib": 3, "throttled": ["kept level with others"]}
    add_machine(page, {"cpu": {}, "gpus": [whole, level]})
    readings, gpus = ServerFigures().take(exposition.parse(page.text()))
    assert gpus == (Gpu("0", "", 'H100 "80\\GB"'), Gpu("1", "", "L40S"))
    told = {(each.metric, each.part): each.value for each in readings}
    assert told[Metric.GPU_USE, "0"] == 97
    assert told[Metric.GPU_MEMORY_USED, "0"] == 1 << 20
    assert told[Metric.GPU_MEMORY_TOTAL, "0"] == 2 << 20
    assert told[Metric.GPU_POWER, "0"] == 350.5
    assert told[Metric.GPU_TEMPERATURE, "0"] == 60
    assert told[Metric.GPU_CLOCK, "0"] == 1980
    assert told[Metric.GPU_ECC_ERRORS, "0"] == 0
    assert told[Metric.GPU_THROTTLED, "0"] == 1
    assert told[Metric.GPU_THROTTLE_REASONS, "0"] == 0x20
    assert told[Metric.GPU_PCIE_GENERATION, "0"] == 4
    assert told[Metric.GPU_PCIE_SENT, "0"] == 3072
    assert told[Metric.GPU_THROTTLED, "1"] == ONLY_WHEN_HELD
    assert isinstance(told[Metric.GPU_USE, "1"], Absent)
