"""What Prometheus reads: every figure once, in base units, in a format that a strict reader takes."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from personadesk.domain.alarm import RULES, Standing, told
from personadesk.domain.sample import UNITS, Absent, Gpu, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.hosts import exposition
from personadesk.monitor import prometheus

ROOT = Path(__file__).parents[3]
SAMPLE = Sample(
    1000.5, Source.HOST,
    (
        Reading(Metric.GPU_USE, "0", 71.0), Reading(Metric.GPU_MEMORY_USED, "0", 2.0**34),
        Reading(Metric.GPU_CLOCK, "0", 1980.0), Reading(Metric.GPU_FAN, "0", Absent(T("no"))),
        Reading(Metric.DISK_USED, 'C:\\ "a"\nb', 5.0), Reading(Metric.LOAD, "", 0.5),
    ),
    (Gpu("0", "GPU-1", "L40S"),),
)  # fmt: skip
SERVER = Sample(1000.0, Source.SERVER, (
    Reading(Metric.SERVER_TICK_P99, "pd-1/echo", 40.0), Reading(Metric.SERVER_SESSIONS, "pd-1", 2.0),
))  # fmt: skip


async def _get(port: int, request: bytes) -> tuple[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return head, body


def test_a_page_has_every_figure_in_base_units_with_its_labels():
    alarm = told(RULES[0], "box", "0", Standing(on=True, since=1.0))
    page = prometheus.page([("box", "", SAMPLE), ("box", "pd-1", SERVER)], [alarm])
    points = {point.name: point for point in exposition.parse(page)}
    use = points["personadesk_gpu_use_ratio"]
    assert use.value == pytest.approx(0.71)
    assert use.labels == {"host": "box", "source": "host", "gpu": "0", "gpu_name": "L40S", "uuid": "GPU-1"}  # fmt: skip
    assert points["personadesk_gpu_memory_used_bytes"].value == 2.0**34
    assert points["personadesk_gpu_clock_hertz"].value == 1.98e9
    assert points["personadesk_disk_used_bytes"].labels["part"] == 'C:\\ "a"\nb'
    assert points["personadesk_server_tick_p99_seconds"].value == pytest.approx(0.04)
    assert points["personadesk_server_tick_p99_seconds"].labels["engine"] == "echo"
    assert points["personadesk_server_sessions"].labels["server"] == "pd-1"
    assert points["personadesk_alarm"].labels["rule"] == "gpu_gone"
    assert "personadesk_gpu_fan_ratio" not in points
    for name in points:
        assert page.count(f"# TYPE {name} gauge\n") == 1


def test_prometheus_own_parser_reads_it_as_it_was_meant():
    alarm = told(RULES[0], "box", "0", Standing(on=True, since=1.0))
    every = tuple(Reading(metric, "0", float(n)) for n, metric in enumerate(Metric))
    whole = Sample(1000.0, Source.PROVIDER, every)
    page = prometheus.page([("box", "", SAMPLE), ("b", "pd-1", SERVER), ("c", "", whole)], [alarm])
    families = {each.name: each for each in text_string_to_metric_families(page)}
    assert {each.type for each in families.values()} == {"gauge"}
    told_of = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in families.values()
        for s in f.samples
    }
    ours = {(p.name, tuple(sorted(p.labels.items()))): p.value for p in exposition.parse(page)}
    assert told_of == ours
    assert {prometheus.metric_name(metric)[0] for metric in Metric} <= families.keys()


def test_every_metric_has_a_name_of_its_own():
    names = {prometheus.metric_name(metric)[0] for metric in UNITS}
    assert len(names) == len(UNITS) == len(Metric)


async def test_it_is_served_on_loopback_to_who_asks_rightly():
    server = await prometheus.serve(lambda: "personadesk_up 1\n", 0)
    port = server.sockets[0].getsockname()[1]
    assert server.sockets[0].getsockname()[0] == "127.0.0.1"
    head, body = await _get(port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert "version=0.0.4" in head
    assert body == "personadesk_up 1\n"
    assert (await _get(port, b"HEAD /metrics HTTP/1.1\r\n\r\n"))[1] == ""
    assert "404" in (await _get(port, b"GET / HTTP/1.1\r\n\r\n"))[0]
    assert "405" in (await _get(port, b"POST /metrics HTTP/1.1\r\n\r\n"))[0]
    assert "405" in (await _get(port, b"nonsense\r\n\r\n"))[0]
    server.close()
    await server.wait_closed()


def test_the_dashboard_asks_for_figures_that_there_are():
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "personadesk.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"personadesk_\w+", target["expr"])
    }
    told_of = {prometheus.metric_name(metric)[0] for metric in UNITS} | {"personadesk_alarm"}
    assert len(asked) > 15
    assert asked <= told_of
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
