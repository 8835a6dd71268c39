"""`personadesk metrics`: one sample of everything as JSON, all of it for Prometheus, and where alarms are told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command, say
from personadesk.domain.sample import UNITS, Absent
from personadesk.hosts.local import port_taken
from personadesk.hosts.metrics import WAITS
from personadesk.hosts.proc_figures import FIRST
from personadesk.language import number, show, tr
from personadesk.monitor import prometheus, webhook
from personadesk.store.settings import WEBHOOK

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Iterator

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.monitor.monitor import Monitor
    from personadesk.monitor.state import HostState

GAPS_SECONDS = 3600.0
SETTLE_SECONDS = 15.0
"""A first SSH connection, two looks for a rate and a slow start of nvidia-smi take so long at most."""


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    work = {"once": _once, "serve": _serve, "webhook": _webhook}[arguments.action]
    return run_command(lambda stop: work(arguments, stop), as_json=arguments.json)


@contextlib.asynccontextmanager
async def watched(services: Services) -> AsyncIterator[Monitor]:
    """Ask the providers once, then watch every machine once a second, those without a voice too."""
    if await services.accounts.all():
        await services.fleet.refresh()
    monitor = await services.monitor()
    hosts = tuple(monitor.hosts)
    for host in hosts:
        monitor.look(host)
    yield monitor


async def settle(monitor: Monitor, stop: Stop, limit_s: float = SETTLE_SECONDS) -> None:
    """Wait until every machine has told all it can, or not much longer."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and stop.signal is None:
        if all(_settled(state) for state in monitor.hosts.values()):
            return
        await asyncio.sleep(0.1)


def _settled(state: HostState) -> bool:
    if len(state.samples) < len(state.target.specs):
        return False
    if any(str(sample.gpu_reason) == str(WAITS) for sample in state.samples.values()):
        return False
    return not any(each.value == FIRST for s in state.samples.values() for each in s.readings)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        async with watched(services) as monitor:
            await settle(monitor, stop)
            facts = gather(monitor) | {"gaps": await _gaps(monitor)}
            words = [line for state in monitor.hosts.values() for line in _words(state)]
    finally:
        await services.close()
    if arguments.json:
        print_json(facts)
    else:
        print("\n".join(words))
    return 0


def _words(state: HostState) -> Iterator[str]:
    """Return the figures of a machine for a person, each with its stable name."""
    yield show(state.target.label)
    for sample in state.samples.values():
        for each in sample.readings:
            shown = (
                show(each.value.reason)
                if isinstance(each.value, Absent)
                else f"{number(each.value, ',.6g')} {UNITS[each.metric]}"
            )
            yield f"  {each.metric!s:<22} {each.part:<14} {shown}"


async def _gaps(monitor: Monitor) -> list[dict[str, Any]]:
    """Return when sources told nothing in the last hour, and why."""
    now = time.time()
    return [
        {
            "start": gap.start, "end": gap.end, "host": gap.host, "source": gap.source,
            "origin": gap.origin, "figures": gap.figures, "reason": str(gap.reason),
        }
        for gap in await monitor.gaps(now - GAPS_SECONDS, now)
    ]  # fmt: skip


def gather(monitor: Monitor) -> dict[str, Any]:
    """Return everything that `metrics --json` tells: a value or the reason for each figure."""
    return {
        "at": time.time(),
        "hosts": [_host(name, state) for name, state in monitor.hosts.items()],
        "alarms": [webhook.body(alarm) for alarm in monitor.alarms.active],
    }


def _host(name: str, state: HostState) -> dict[str, Any]:
    figures = []
    for key, sample in state.samples.items():
        for each in sample.readings:
            absent = isinstance(each.value, Absent)
            figures.append(
                {
                    "metric": str(each.metric),
                    "part": each.part,
                    "source": str(sample.source),
                    "origin": key.origin,
                    "at": sample.at,
                    "value": None if absent else each.value,
                    "unit": UNITS[each.metric],
                    "reason": str(each.value.reason) if isinstance(each.value, Absent) else "",
                }
            )
    gpus = [
        {"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name, "lost": gpu.index in state.lost}
        for gpu in state.gpus.values()
    ]
    return {"name": name, "label": str(state.target.label), "gpus": gpus, "figures": figures}


async def _serve(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        async with watched(services) as monitor:
            services.fleet.start()
            try:
                server = await prometheus.serve(lambda: page(monitor), arguments.port)
            except OSError as error:
                raise await asyncio.to_thread(port_taken, arguments.port) from error
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/metrics"
            say(tr("Serving figures at {url}. End with Ctrl-C.", url=url))
            await stop.wait()
            server.close()
    finally:
        await services.close()
    if arguments.json:
        print_json({"served": url})
    return 0


def page(monitor: Monitor) -> str:
    """Return what Prometheus reads."""
    samples = (
        (name, key.origin, sample)
        for name, state in monitor.hosts.items()
        for key, sample in state.samples.items()
    )
    return prometheus.page(samples, monitor.alarms.active)


async def _webhook(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        if arguments.remove:
            await services.secrets.delete(webhook.SECRET)
            services.settings.set(WEBHOOK, value=False)
        elif arguments.url:
            await services.secrets.put(webhook.SECRET, webhook.checked(arguments.url))
            services.settings.set(WEBHOOK, value=True)
        there = services.settings.get(WEBHOOK)
    finally:
        await services.close()
    if arguments.json:
        print_json({"webhook": there})
    else:
        print(tr("Alarms go to your webhook.") if there else tr("Alarms go to no webhook."))
    return 0
