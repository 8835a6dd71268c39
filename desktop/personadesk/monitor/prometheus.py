"""Everything that is sampled, in Prometheus' text format (0.0.4), for whoever scrapes it on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from personadesk.domain.sample import UNITS, Absent, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from personadesk.domain.alarm import Alarm
    from personadesk.domain.sample import Gpu, Sample

log = logging.getLogger(__name__)

DEFAULT_PORT = 9464
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HEAD_SECONDS = 5.0
_HUNG_UP = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
_UNIT_NAMES: dict[str, tuple[str, float]] = {
    "%": ("ratio", 0.01), "B": ("bytes", 1), "°C": ("celsius", 1), "W": ("watts", 1),
    "MHz": ("hertz", 1e6), "B/s": ("bytes_per_second", 1), "ms": ("seconds", 0.001),
    "s": ("seconds", 1), "1/s": ("per_second", 1), "$/h": ("dollars_per_hour", 1),
    "$": ("dollars", 1), "": ("", 1),
}  # fmt: skip
"""Prometheus wants base units; the unit stands at the end of a name."""


def page(samples: Iterable[tuple[str, str, Sample]], alarms: Sequence[Alarm] = ()) -> str:
    """Return the page.

    Args:
        samples: Machine, origin (a server's id or "") and newest sample of each source.
        alarms: Those that are on.
    """
    lines: dict[str, list[str]] = {}
    for host, origin, sample in samples:
        names = {gpu.index: gpu for gpu in sample.gpus}
        known = 0
        for each in sample.readings:
            if isinstance(each.value, Absent):
                continue
            known += 1
            name, factor = metric_name(each.metric)
            labels = {"host": host, "source": str(sample.source)}
            labels |= _part_labels(each.metric, each.part, names)
            lines.setdefault(name, []).append(_line(name, labels, each.value * factor))
        labels = {"host": host, "source": str(sample.source), "origin": origin}
        _add(lines, "personadesk_sample_timestamp_seconds", labels, sample.at)
        _add(lines, "personadesk_sample_figures", labels, known)
    for alarm in alarms:
        labels = {"host": alarm.host, "rule": str(alarm.rule.quantity), "part": alarm.part}
        _add(lines, "personadesk_alarm", labels, 1)
    parts = (f"# TYPE {name} gauge\n" + "\n".join(rows) for name, rows in sorted(lines.items()))
    return "\n".join(parts) + "\n"


def metric_name(metric: Metric) -> tuple[str, float]:
    """Return a metric's name on the page, and by what its values are multiplied."""
    unit, factor = _UNIT_NAMES[UNITS[metric]]
    name = "personadesk_" + metric.value.replace(".", "_")
    return (f"{name}_{unit}" if unit else name), factor


async def serve(
    text: Callable[[], str], port: int = DEFAULT_PORT, host: str = "127.0.0.1"
) -> asyncio.Server:
    """Answer `GET /metrics` on loopback until the server is closed.

    Args:
        text: Returns the page.
        port: The port; 0 for a free one.
        host: The loopback address.

    Raises:
        OSError: The port is taken.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_HUNG_UP):
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(head, text))
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return await asyncio.start_server(answer, host, port)


def _response(head: bytes, text: Callable[[], str]) -> bytes:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    method, path = (words[0], words[1].split(b"?")[0]) if len(words) == 3 else (b"", b"")
    if method not in {b"GET", b"HEAD"}:
        status, body = "405 Method Not Allowed", "Only GET is understood.\n"
    elif path != b"/metrics":
        status, body = "404 Not Found", "The figures are at /metrics.\n"
    else:
        status, body = "200 OK", text()
    data = body.encode()
    told = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    return told if method == b"HEAD" else told + data


def _part_labels(metric: Metric, part: str, gpus: dict[str, Gpu]) -> dict[str, str]:
    if metric.startswith("gpu."):
        gpu = gpus.get(part)
        labels = {"gpu": part}
        if gpu is not None:
            labels |= {"gpu_name": gpu.name, "uuid": gpu.uuid}
        return labels
    if metric.startswith(("server.", "voice.")):
        server, _, engine = part.partition("/")
        return {"server": server, "engine": engine}
    return {"part": part} if part else {}


def _add(lines: dict[str, list[str]], name: str, labels: dict[str, str], value: float) -> None:
    lines.setdefault(name, []).append(_line(name, labels, value))


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items() if text)
    return f"{name}{{{inside}}} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
