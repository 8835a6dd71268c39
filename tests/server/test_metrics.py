"""What Prometheus is told: well formed, and true."""

from __future__ import annotations

import re
import sys
import types

import pytest

from personaplex_server import gpu
from personaplex_server.metrics import Histogram, Page, add_machine

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+)')


def parsed(text: str) -> dict[str, float]:
    """Read the text format strictly: each metric's head first, its samples together, none twice."""
    found: dict[str, float] = {}
    heads: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert line.split()[2] not in heads
            heads.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2] == heads[-1]
        else:
            known = LINE.fullmatch(line)
            assert known, line
            assert known[1].startswith(heads[-1]), line
            key = line.rpartition(" ")[0]
            assert key not in found
            found[key] = float(known[3])
    return found


def test_a_histogram_counts_up_to_each_bound():
    values = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        values.observe(value)
    assert list(values.lines("t", {"a": 'q"\\\n'})) == [
        't_bucket{a="q\\"\\\\\\n",le="0.1"} 2',
        't_bucket{a="q\\"\\\\\\n",le="1"} 3',
        't_bucket{a="q\\"\\\\\\n",le="+Inf"} 4',
        't_sum{a="q\\"\\\\\\n"} 7.65',
        't_count{a="q\\"\\\\\\n"} 4',
    ]


def test_calls_ticks_and_what_the_engine_tells_are_seen(serve, dial, tone, scripted):
    class Telling(scripted):
        def __init__(self, rows):
            super().__init__(rows)
            self.stage_s = dict.fromkeys(("encode", "depformer", "decode"), 0.002) | {"lm": 0.03}

        def figures(self):
            return {"prompt_cache_hits": 3.0}

    server = serve(Telling(rows=2), token="correct-horse", max_wait_s=5)
    caller = dial(f"{server.chat}?token=correct-horse")
    caller.handshake()
    caller.say(tone(0.4))
    caller.until(lambda c: len(c.pcm) == 5)
    assert server.get("/metrics").status_code == 401
    answer = server.get("/metrics", params={"token": "correct-horse"})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = parsed(answer.text)
    mine = 'engine="scripted"'
    assert told[f"personaplex_slots{{{mine}}}"] == 2
    assert told[f"personaplex_sessions{{{mine}}}"] == 1
    assert told[f"personaplex_queue{{{mine}}}"] == 0
    assert told[f"personaplex_sessions_total{{{mine}}}"] == 1
    assert told[f"personaplex_tick_seconds_count{{{mine}}}"] == 5
    assert told[f"personaplex_lag_seconds_count{{{mine}}}"] == 5
    assert told[f'personaplex_lag_seconds_bucket{{{mine},le="+Inf"}}'] == 5
    assert told[f'personaplex_stage_seconds_count{{{mine},stage="lm"}}'] == 5
    assert told[f'personaplex_stage_seconds_sum{{{mine},stage="lm"}}'] == pytest.approx(0.15)
    for stage in ("encode", "depformer", "decode"):
        assert told[f'personaplex_stage_seconds_count{{{mine},stage="{stage}"}}'] == 5
    assert told[f"personaplex_dropped_frames_total{{{mine}}}"] == 0
    assert told[f'personaplex_engine_figure{{{mine},figure="prompt_cache_hits"}}'] == 3
    assert told[f'personaplex_state{{{mine},state="ready"}}'] == 1
    assert told["personaplex_cpu_count"] >= 1


class Nvml(types.ModuleType):
    """NVML with one card, which refuses one reading unless it counts memory errors."""

    NVML_TEMPERATURE_GPU = NVML_CLOCK_SM = NVML_PCIE_UTIL_TX_BYTES = 0
    NVML_CLOCK_MEM = NVML_PCIE_UTIL_RX_BYTES = 1
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = NVML_VOLATILE_ECC = 0

    class NVMLError(Exception):
        pass

    def __init__(self, *, counts_errors: bool = False) -> None:
        super().__init__("pynvml")
        self.counts_errors = counts_errors
        memory = types.SimpleNamespace(total=80 << 30, used=20 << 30)
        answers = {
            "Init": None,
            "Shutdown": None,
            "DeviceGetCount": 1,
            "DeviceGetHandleByIndex": "card",
            "DeviceGetName": b"NVIDIA H100",
            "DeviceGetMemoryInfo": memory,
            "DeviceGetUtilizationRates": types.SimpleNamespace(gpu=42),
            "DeviceGetTemperature": 61,
            "DeviceGetPowerUsage": 350_500,
            "DeviceGetCurrentClocksThrottleReasons": 0x25,
            "DeviceGetCurrPcieLinkGeneration": 5,
            "DeviceGetCurrPcieLinkWidth": 16,
            "DeviceGetPcieThroughput": 1200,
        }
        for name, value in answers.items():
            setattr(self, f"nvml{name}", lambda *_, value=value: value)

    def nvmlDeviceGetClockInfo(self, handle, kind):  # noqa: N802 - NVML's own name
        return (1980, 2619)[kind]

    def nvmlDeviceGetTotalEccErrors(self, handle, kind, counter):  # noqa: N802 - NVML's own name
        if not self.counts_errors:
            raise self.NVMLError("not supported")
        return 3


def test_a_card_s_readings_are_told_and_those_it_refuses_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    machine = gpu.readings()
    assert machine["gpus"][0]["ecc_uncorrected"] is None
    page = Page()
    add_machine(page, machine)
    told = parsed(page.text())
    card = 'gpu="0",name="NVIDIA H100"'
    assert told[f"personaplex_gpu_utilisation_percent{{{card}}}"] == 42
    assert told[f"personaplex_gpu_power_watts{{{card}}}"] == 350.5
    assert told[f"personaplex_gpu_temperature_celsius{{{card}}}"] == 61
    assert told[f"personaplex_gpu_clock_megahertz{{{card}}}"] == 1980
    assert told[f"personaplex_gpu_memory_total_mebibytes{{{card}}}"] == 80 << 10
    assert told[f"personaplex_gpu_memory_used_mebibytes{{{card}}}"] == 20 << 10
    assert told[f"personaplex_gpu_memory_clock_megahertz{{{card}}}"] == 2619
    assert told[f"personaplex_gpu_pcie_generation{{{card}}}"] == 5
    assert told[f"personaplex_gpu_pcie_sent_kibibytes_per_second{{{card}}}"] == 1200
    assert told[f'personaplex_gpu_throttled{{{card},reason="power limit"}}'] == 1
    assert told[f'personaplex_gpu_throttled{{{card},reason="heat"}}'] == 1
    assert not [key for key in told if "ecc" in key]
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(counts_errors=True))
    page = Page()
    add_machine(page, gpu.readings())
    assert parsed(page.text())[f"personaplex_gpu_ecc_uncorrected{{{card}}}"] == 3
