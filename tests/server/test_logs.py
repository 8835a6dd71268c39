"""The form of log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from personaplex_server import gpu, logs


@pytest.fixture
def _loggers_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = ("personaplex_server", *logs._QUIET)
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.usefixtures("_loggers_put_back")
def test_a_happening_is_one_line_without_secrets(capsys):
    logs.setup(secrets=("open-sesame",))
    log = logging.getLogger("personaplex_server.chat")
    log.info("call over %s", logs.fields(call=3, why="bad\nline", seconds=1.5, key="open-sesame"))
    log.debug("not shown")
    logging.getLogger("uvicorn.error").info("GET /api/chat?token=open-sesame")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO    chat: call over call=3 why='bad\\nline' seconds=1.5 key=***")


@pytest.mark.usefixtures("_loggers_put_back")
def test_a_trace_keeps_no_secret_either(capsys):
    logs.setup(secrets=("open-sesame",), verbose=True)
    error = ValueError("said open-sesame")
    logging.getLogger("personaplex_server").error("odd", exc_info=error)
    assert "ValueError: said ***" in capsys.readouterr().err


def test_words_with_spaces_are_quoted():
    assert logs.fields(a="two words", b="", c=2.0, d="x=y") == "a='two words' b='' c=2 d='x=y'"


def test_readings_say_why_there_is_no_gpu(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("personaplex_server.gpu.importlib.import_module", missing)
    readings = gpu.readings()
    assert readings["cpu"]["count"] >= 1
    assert "gpus" not in readings
    assert "not installed" in readings["gpu_reason"]


def test_gpu_readings_survive_what_a_card_refuses(monkeypatch):
    class Nvml:
        NVML_TEMPERATURE_GPU = 0

        class NVMLError(Exception):
            pass

        def __getattr__(self, name):
            memory = type("Memory", (), {"total": 80 << 30, "used": 20 << 30})
            answers = {
                "nvmlDeviceGetCount": 1,
                "nvmlDeviceGetName": b"NVIDIA H100",
                "nvmlDeviceGetMemoryInfo": memory,
                "nvmlDeviceGetTemperature": 41,
                "nvmlDeviceGetPowerUsage": 123_456,
                "nvmlDeviceGetClockInfo": 1980,
                "nvmlDeviceGetTotalEccErrors": 0,
                "nvmlDeviceGetCurrentClocksThrottleReasons": 0x21,
            }

            def call(*arguments):
                if name == "nvmlDeviceGetUtilizationRates":
                    raise self.NVMLError("not supported")
                return answers.get(name)

            return call

    monkeypatch.setattr("personaplex_server.gpu.importlib.import_module", lambda name: Nvml())
    assert gpu.readings()["gpus"] == [
        {
            "name": "NVIDIA H100",
            "memory_total_mib": 81920,
            "memory_used_mib": 20480,
            "utilisation": None,
            "temperature_c": 41,
            "power_w": 123.5,
            "clock_mhz": 1980,
            "memory_clock_mhz": 1980,
            "pcie_generation": None,
            "pcie_width": None,
            "pcie_received_kib_s": None,
            "pcie_sent_kib_s": None,
            "ecc_uncorrected": 0,
            "throttled": ["heat"],
        }
    ]


@pytest.mark.usefixtures("_loggers_put_back")
def test_a_happening_as_json_keeps_its_facts(capsys):
    logs.setup(as_json=True, secrets=("open-sesame",))
    log = logging.getLogger("personaplex_server.chat")
    log.info("call over %s", logs.fields(call=3, why="bad\nline", seconds=1.5, key="open-sesame"))
    try:
        int("open-sesame")
    except ValueError:
        log.exception("broken %s", logs.fields(event="mine"))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "module": "chat",
        "event": "call over",
        "call": 3,
        "why": "bad\nline",
        "seconds": 1.5,
        "key": "***",
    }
    assert second["event"] == "broken"
    assert "Traceback" in second["trace"]
    assert "open-sesame" not in second["trace"]
