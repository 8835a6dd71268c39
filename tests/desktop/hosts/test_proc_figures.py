from __future__ import annotations

from personadesk.domain.sample import Absent, Metric
from personadesk.hosts.metrics import Reader
from personadesk.hosts.proc_figures import FIRST, ProcFigures

TICK = """C cpu {busy} 0 0 {idle} 0 0 0 0 0 0
L 0.52
M MemTotal 16000 kB
M MemAvailable 4000 kB
N lo 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0
N eth0 {got} 10 0 0 0 0 0 0 {sent} 10 0 0 0 0 0 0
N veth1a {got} 10 0 0 0 0 0 0 {sent} 10 0 0 0 0 0 0
D    8       0 sda 1 0 {read} 1 1 0 {written} 1 0 1 1
D    8       1 sda1 1 0 {read} 1 1 0 {written} 1 0 1 1
V /dev/sda1 1000 400 600 40% /
T {at}"""


def _tick(figures: ProcFigures, **values: float):
    readings = None
    for line in TICK.format(**values).splitlines():
        kind, _, text = line.partition(" ")
        readings = figures.take(kind, text) or readings
    return {reading.metric: reading.value for reading in readings}


def test_rates_are_differences_over_the_hosts_own_clock():
    figures = ProcFigures("/")
    first = _tick(figures, busy=100, idle=900, got=1000, sent=500, read=10, written=20, at=50.0)
    assert first[Metric.CPU_USE] == first[Metric.NET_SENT] == first[Metric.DISK_READ] == FIRST
    assert first[Metric.MEMORY_USED] == 12000 * 1024
    assert first[Metric.DISK_USED] == 400 * 1024
    second = _tick(figures, busy=150, idle=950, got=5000, sent=1500, read=14, written=20, at=52.0)
    assert second[Metric.CPU_USE] == 50.0
    assert second[Metric.NET_RECEIVED] == 2000.0
    assert second[Metric.NET_SENT] == 500.0
    assert second[Metric.DISK_READ] == 4 * 512 / 2
    assert second[Metric.DISK_WRITTEN] == 0.0
    assert second[Metric.LOAD] == 0.52


def test_counters_that_go_back_give_no_rate():
    figures = ProcFigures("/")
    _tick(figures, busy=100, idle=900, got=1000, sent=500, read=10, written=20, at=50.0)
    after = _tick(figures, busy=1, idle=9, got=10, sent=5, read=0, written=0, at=3.0)
    for metric in (Metric.CPU_USE, Metric.NET_RECEIVED, Metric.DISK_READ):
        assert isinstance(after[metric], Absent)


def test_a_containers_limit_counts_as_its_memory():
    figures = ProcFigures()
    for kind, text in (("M", "MemTotal 16000 kB"), ("M", "MemAvailable 4000 kB"),
                       ("K", "max 4096000"), ("K", "current 1024000")):  # fmt: skip
        figures.take(kind, text)
    readings = {reading.metric: reading.value for reading in figures.take("T", "1.0")}
    assert readings[Metric.MEMORY_TOTAL] == 4096000
    assert readings[Metric.MEMORY_USED] == 1024000


def test_a_machine_that_tells_nothing_gives_reasons():
    readings = ProcFigures().take("T", "1.0")
    assert readings
    assert all(isinstance(reading.value, Absent) for reading in readings)


def test_torn_and_odd_lines_lose_one_figure_and_not_the_rest():
    reader = Reader(clock=lambda: 7.0)
    for line in ("C cpu x", "M", "N eth0", "D 8 0", "V", "Z what", "", "G ,,,"):
        assert reader.take(line) is None
    sample = reader.take("T 5.0")
    assert sample is not None
    assert sample.at == 7.0


def test_a_query_that_falls_silent_is_told_instead_of_old_figures():
    reader = Reader()
    reader.take("F index,utilization.gpu,name")
    reader.take("G 0, 50, Card")
    assert reader.take("T 1.0").value(Metric.GPU_USE, "0") == 50.0
    for second in range(2, 12):
        last = reader.take(f"T {second}")
    assert "does not answer" in str(last.value(Metric.GPU_USE, "0").reason)
    reader.take("G 0, 51, Card")
    assert reader.take("T 13").value(Metric.GPU_USE, "0") == 51.0
