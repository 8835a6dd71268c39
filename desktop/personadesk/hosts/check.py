"""Looks at a host before anything is touched: one script, one round trip, no Python needed there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from personadesk.domain import fitness
from personadesk.domain.errors import HostUnfit, Unreachable
from personadesk.domain.host import (
    GpuFact,
    HostCheck,
    HostFacts,
    InstallFact,
    PlaceFact,
    PythonFact,
    Reach,
)
from personadesk.domain.text import T
from personadesk.hosts import scripts
from personadesk.hosts.commands import CommandTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from personadesk.domain.plan import ModelKind
    from personadesk.hosts.base import Host

LIMIT_SECONDS = 20.0
HUB = "https://huggingface.co"
GPU_FIELDS = ("index", "driver_version", "memory.total", "compute_cap", "mig.mode.current", "name")
_VOLUMES = ("/workspace", "/notebooks", "/storage")
"""Where providers put what outlives a container."""


async def look(
    host: Host,
    *,
    folder: str = "",
    hub: str = HUB,
    clock: Callable[[], float] = time.time,
) -> HostFacts:
    """Return a host's facts; nothing is changed there.

    Args:
        host: The machine.
        folder: Where everything of ours is or would be; "" for `~/.personadesk`.
        hub: Address of the model hub.
        clock: Unix time here, against which the host's clock is compared.

    Raises:
        PersonaDeskError: The host cannot be reached, or its answer makes no sense.
    """
    lines: list[str] = []
    skew = 0.0
    began = time.monotonic()

    def take(line: str) -> None:
        nonlocal skew
        lines.append(line)
        if line.startswith("now "):
            skew = _seconds(line[4:], clock()) - clock()

    try:
        await host.script(
            scripts.load("nvidia", "check"), folder, hub, ",".join(GPU_FIELDS),
            limit_s=LIMIT_SECONDS, on_line=take,
        )  # fmt: skip
    except CommandTimeout as error:
        raise Unreachable(
            T("The check of {name} took longer than {seconds} s.", name=host.name, seconds=round(LIMIT_SECONDS)),
            T("The machine may be overloaded, or a disk or GPU there may hang; restart it if it stays so."),
            cause="check_timeout",
            details="\n".join(lines[-20:]),
        ) from error  # fmt: skip
    if "end" not in lines:
        raise HostUnfit(
            T("{name} does not answer as a Linux machine does.", name=host.name),
            T("Choose a machine with Linux and an ordinary shell."),
            cause="odd_answer",
            details="\n".join(lines[-20:]),
        )
    return read(lines, skew_s=skew, seconds=time.monotonic() - began)


async def check(
    host: Host, model: ModelKind | None = None, *, folder: str = "", hub: str = HUB
) -> HostCheck:
    """Look at a host and judge it. Errors as for `look`."""
    return fitness.judge(await look(host, folder=folder, hub=hub), model)


def read(lines: Iterable[str], *, skew_s: float = 0.0, seconds: float = 0.0) -> HostFacts:
    """Turn the script's lines into facts; what is missing keeps its default."""
    one: dict[str, str] = {}
    many: dict[str, list[str]] = {}
    for line in lines:
        word, _, value = line.partition(" ")
        one[word] = value.strip()
        many.setdefault(word, []).append(value.strip())
    kind, _, detail = one.get("kind", "machine").partition(" ")
    libc, version = _libc(one.get("libc", ""))
    memory, free = _memory(many)
    rows = _gpu_rows(one.get("gpu_fields", ""), many.get("gpu", []))
    parts = _parts(lines)
    return HostFacts(
        system=one.get("system", ""),
        distribution=one.get("distribution", ""),
        machine=one.get("machine", ""),
        kernel=one.get("kernel", ""),
        libc=libc,
        libc_version=version,
        user=one.get("user", ""),
        is_root=one.get("uid") == "0",
        home=one.get("home", ""),
        cores=_number(one.get("cores", "")),
        memory_bytes=memory,
        memory_free_bytes=free,
        gpus=tuple(_gpu(row, parts) for row in rows),
        gpu_reason=one.get("gpu_reason", ""),
        driver=_told(rows[0].get("driver_version", "")) if rows else "",
        cuda=one.get("cuda", ""),
        pythons=_pythons(many.get("python", []), "uv" in many.get("tool", [])),
        places=tuple(filter(None, (_place(text) for text in many.get("place", [])))),
        busy_ports=tuple(sorted({int(text, 16) for text in many.get("port", [])})),
        systemd="systemd" in one,
        user_units="user_units" in one,
        lingers="lingers" in one,
        cron="cron" in one,
        kind=kind,
        kind_detail=detail,
        skew_s=skew_s,
        registry=_reach(one.get("registry", "")),
        hub=_reach(one.get("hub", "")),
        install=_install(one, many),
        tools=tuple(many.get("tool", [])),
        seconds=seconds,
    )


def _seconds(text: str, fallback: float) -> float:
    try:
        return float(text)
    except ValueError:
        # A date program without fractions prints the letters.
        whole = text.split(".", maxsplit=1)[0]
        return float(whole) + 0.5 if whole.isdigit() else fallback


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _told(text: str) -> str:
    return "" if text.startswith("[") or text == "N/A" else text


def _libc(text: str) -> tuple[str, tuple[int, int]]:
    words = text.lower().split()
    if any("musl" in word for word in words):
        return "musl", (0, 0)
    for word in reversed(words):
        parts = word.split(".")
        if len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit():
            return "glibc", (int(parts[0]), int(parts[1]))
    return "", (0, 0)


def _memory(many: dict[str, list[str]]) -> tuple[int, int]:
    known = dict(text.split()[:2] for text in many.get("memory", []) if len(text.split()) > 1)
    total = _number(known.get("MemTotal", "")) * 1024
    free = _number(known.get("MemAvailable", "")) * 1024
    limits = dict(
        text.split()[:2] for text in many.get("memory_limit", []) if len(text.split()) > 1
    )
    limit = _number(limits.get("max", ""))
    if limit and limit < total:
        return limit, min(free, max(0, limit - _number(limits.get("current", ""))))
    return total, free


def _gpu_rows(fields: str, rows: list[str]) -> list[dict[str, str]]:
    names = fields.split(",")
    split = [[value.strip() for value in row.split(",", len(names) - 1)] for row in rows]
    return [
        dict(zip(names, values, strict=True))
        for values in split
        if len(values) == len(names) and values[0].isdigit()
    ]


def _gpu(row: dict[str, str], parts: dict[int, list[str]]) -> GpuFact:
    index = int(row["index"])
    try:
        memory = int(float(row.get("memory.total", "").split(" ")[0]) * 1024 * 1024)
    except ValueError:
        memory = None
    return GpuFact(
        index, row.get("name", ""), memory, _told(row.get("compute_cap", "")),
        tuple(parts.get(index, ())),
    )  # fmt: skip


def _parts(lines: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    card = 0
    for line in lines:
        if line.startswith("gpu_part_of "):
            card = _number(line.split()[-1])
        elif line.startswith("gpu_part "):
            found.setdefault(card, []).append(line.split()[1])
    return found


def _pythons(texts: list[str], uv: bool) -> tuple[PythonFact, ...]:
    found = []
    for text in texts:
        words = text.rsplit(" ", 5)
        if len(words) != 6:
            continue
        path, version, venv, pip, torch, cuda = words
        numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
        if len(numbers) != 3:
            continue
        found.append(
            PythonFact(
                path,
                (numbers[0], numbers[1], numbers[2]),
                makes_environments=venv == "venv" and (pip != "-" or uv),
                has_pip=pip == "pip",
                torch="" if torch == "-" else torch,
                torch_cuda="" if cuda == "-" else cuda,
            )
        )
    return tuple(found)


def _place(text: str) -> PlaceFact | None:
    words = text.split(" ", 4)
    if len(words) != 5 or not words[0].isdigit():
        return None
    free, writes, runs, mount, path = words
    return PlaceFact(
        path,
        int(free) * 1024,
        writable=writes == "writable",
        persistent=path in _VOLUMES and mount not in {"/", ""},
        executable=runs == "exec",
    )


def _reach(text: str) -> Reach:
    return Reach(text) if text in set(Reach) else Reach.UNKNOWN


def _install(one: dict[str, str], many: dict[str, list[str]]) -> InstallFact | None:
    versions = tuple(many.get("install_has", []))
    if not versions:
        return None
    return InstallFact(
        one.get("install", ""), one.get("install_version", ""), versions, "install_runs" in one
    )
