"""Whether a host can run what is asked: pure rules over its facts, each with a sentence and what to do.

The limits are data with their reasons, so that a person can be told why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from personadesk.domain.host import (
    Finding,
    Fitness,
    GpuFact,
    HostCheck,
    HostFacts,
    Level,
    PlaceFact,
    PythonFact,
    Reach,
)
from personadesk.domain.plan import ModelKind
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30

OLDEST_PYTHON = (3, 11)
"""What the server's package asks for."""
OLDEST_GLIBC = (2, 28)
"""What torch's released builds are made for."""
MACHINES = {"x86_64", "amd64", "aarch64", "arm64"}
OLDEST_DRIVER = 525
"""The first driver family that runs CUDA 12 builds of torch."""
CURRENT_DRIVER = 580
"""From here on the newest builds run; older drivers get an older one."""
OLDEST_CAPABILITY = (7, 5)
"""Current builds of torch have no code for older cards."""
BFLOAT16_CAPABILITY = (8, 0)
GPU_BYTES = 22 * GIB
"""The 7B model in bfloat16 with its state; cards sold as 24 GB show from 22.5 GiB on."""
ENVIRONMENT_BYTES = 2 * GIB
"""A CPU build of torch and what the server needs."""
CUDA_BYTES = 9 * GIB
"""The same with CUDA's libraries, while they are unpacked."""
MODEL_BYTES = 18 * GIB
"""The released weights."""
MEMORY_BYTES = 1 * GIB
MODEL_MEMORY_BYTES = 8 * GIB
"""Weights are mapped, not read; torch and CUDA want room of their own."""
SKEW_SECONDS = 30.0
BAD_SKEW_SECONDS = 600.0
"""From here on certificates begin to look expired or not yet valid."""

_RANK = {Level.UNFIT: 0, Level.WARN: 1, Level.GOOD: 2}


def judge(facts: HostFacts, model: ModelKind | None = None) -> HostCheck:
    """Return the verdict over a host.

    Args:
        facts: What it said of itself.
        model: What shall run there; None when that is not known yet.
    """
    findings = sorted(_findings(facts, model), key=lambda each: _RANK[each.level])
    levels = {finding.level for finding in findings}
    verdict = Fitness.FIT
    if Level.UNFIT in levels:
        verdict = Fitness.UNFIT
    elif Level.WARN in levels:
        verdict = Fitness.WARN
    return HostCheck(verdict, facts, tuple(findings))


def best_python(facts: HostFacts) -> PythonFact | None:
    """Return the Python that the server's environment is made with: one with a fitting torch first."""
    usable = [
        each
        for each in facts.pythons
        if each.version[:2] >= OLDEST_PYTHON and each.makes_environments
    ]
    gpu = bool(facts.gpus)
    usable.sort(
        key=lambda each: bool(each.torch) and (bool(each.torch_cuda) or not gpu), reverse=True
    )
    return usable[0] if usable else None


def best_place(facts: HostFacts, wanted_bytes: int = 0) -> PlaceFact | None:
    """Return where everything of ours goes: a provider's persistent volume first, else where there is room."""
    usable = [each for each in facts.places if each.writable and each.executable]
    roomy = [each for each in usable if each.free_bytes >= wanted_bytes]
    for each in roomy:
        if each.persistent:
            return each
    if roomy:
        return roomy[0]
    return max(usable, key=lambda each: each.free_bytes, default=None)


def wanted_bytes(facts: HostFacts, model: ModelKind | None) -> int:
    """Return the disk space that an installation with this model takes."""
    python = best_python(facts)
    reused = python is not None and python.torch
    total = ENVIRONMENT_BYTES
    if reused:
        total = ENVIRONMENT_BYTES // 3
    elif facts.gpus:
        total = CUDA_BYTES
    return total + (MODEL_BYTES if model is ModelKind.PERSONAPLEX_7B else 0)


def _findings(facts: HostFacts, model: ModelKind | None) -> Iterator[Finding]:
    yield from _system(facts)
    if facts.system != "Linux":
        return
    yield from _python(facts)
    yield from _gpu(facts, model)
    yield from _disk(facts, model)
    yield from _memory(facts, model)
    yield from _service(facts)
    yield from _clock(facts)
    yield from _internet(facts, model)
    yield from _install(facts)


def _good(about: str, what: Text) -> Finding:
    return Finding(about, Level.GOOD, what)


def _warn(about: str, what: Text, next_: Text = NOTHING) -> Finding:
    return Finding(about, Level.WARN, what, next_)


def _unfit(about: str, what: Text, next_: Text) -> Finding:
    return Finding(about, Level.UNFIT, what, next_)


def _system(facts: HostFacts) -> Iterator[Finding]:
    if facts.system != "Linux":
        yield _unfit(
            "system",
            T("This machine runs {system}.", system=facts.system or "?"),
            T("Choose a machine with Linux."),
        )
        return
    if facts.machine not in MACHINES:
        yield _unfit(
            "machine",
            T("Its processor is of the kind {machine}.", machine=facts.machine or "?"),
            T("Choose a machine of the kind x86_64 or aarch64."),
        )
    elif facts.libc == "musl":
        yield _unfit(
            "libc",
            T("Its system is built on musl, for which there is no build of torch."),
            T("Use Debian, Ubuntu or another system with glibc."),
        )
    elif (0, 0) < facts.libc_version < OLDEST_GLIBC:
        yield _unfit(
            "libc",
            T("Its system is too old: glibc {version}.", version=_dotted(facts.libc_version)),
            T("Use Debian 10, Ubuntu 20.04 or newer."),
        )
    else:
        name = facts.distribution or "Linux"
        yield _good("system", T("{name} on {machine}.", name=name, machine=facts.machine))


def _python(facts: HostFacts) -> Iterator[Finding]:
    chosen = best_python(facts)
    if chosen is not None:
        version = _dotted(chosen.version)
        if chosen.torch:
            yield _good(
                "python",
                T("Python {version} with torch {torch}, which is reused.", version=version, torch=chosen.torch),
            )  # fmt: skip
        else:
            yield _good("python", T("Python {version}.", version=version))
        return
    new_enough = [each for each in facts.pythons if each.version[:2] >= OLDEST_PYTHON]
    if new_enough:
        minor = _dotted(new_enough[0].version[:2])
        yield _unfit(
            "python",
            T("Python {version} there cannot make virtual environments.", version=minor),
            T("As root there, run: apt-get install python{version}-venv", version=minor),
        )
        return
    if facts.pythons:
        newest = max(each.version for each in facts.pythons)
        what = T("The newest Python there is {version}.", version=_dotted(newest))
    else:
        what = T("There is no Python there.")
    yield _unfit(
        "python",
        what,
        T("Install Python 3.11 or newer with its venv module, or choose a newer system image."),
    )


def _gpu(facts: HostFacts, model: ModelKind | None) -> Iterator[Finding]:
    needed = model is ModelKind.PERSONAPLEX_7B
    if not facts.gpus:
        if facts.driver or facts.gpu_reason.startswith("nvidia:"):
            yield (_unfit if needed else _warn)(
                "gpu",
                T("There is an NVIDIA driver, but it does not answer as it should."),
                T("Restart the machine; if it stays so, install the driver anew or choose another machine."),
            )  # fmt: skip
        elif needed:
            yield _unfit(
                "gpu",
                T("There is no NVIDIA GPU."),
                T("Choose a machine with an NVIDIA GPU of 24 GB or more."),
            )
        elif model is None:
            yield _warn(
                "gpu",
                T("There is no NVIDIA GPU; only the untrained rehearsal model runs here."),
                T("For the real voice choose a machine with an NVIDIA GPU of 24 GB or more."),
            )
        return
    yield from _cards(facts, needed=needed, known=model is not None)
    yield from _driver(facts)


def _cards(facts: HostFacts, *, needed: bool, known: bool) -> Iterator[Finding]:
    best = max(facts.gpus, key=lambda each: largest_part(each) or 0)
    room = largest_part(best)
    name = best.name + (f" (of {len(facts.gpus)})" if len(facts.gpus) > 1 else "")
    unfit = _unfit if needed else _warn
    if room is None:
        yield _warn("gpu", T("{name}; its memory is not told.", name=name))
    elif room < GPU_BYTES and (needed or not known):
        yield unfit(
            "gpu",
            T("{name} has {size} GB of memory; the 7B model needs 24 GB.", name=name, size=gigabytes(room)),
            T("Choose a GPU of 24 GB or more, or use the rehearsal model."),
        )  # fmt: skip
    else:
        yield _good("gpu", T("{name} with {size} GB.", name=name, size=gigabytes(room)))
    if best.parts:
        yield _warn(
            "gpu_parts",
            T("The GPU is divided into parts (MIG): {parts}.", parts=", ".join(best.parts)),
            T("The server gets the largest part; its use is not told by the driver."),
        )
    capability = _version(best.capability)
    if capability and capability < OLDEST_CAPABILITY:
        yield unfit(
            "gpu_age",
            T("{name} is too old for current builds of torch.", name=best.name),
            T("Choose a GPU of the Turing family (2018) or newer."),
        )
    elif capability and capability < BFLOAT16_CAPABILITY and (needed or not known):
        yield _warn(
            "gpu_age",
            T("{name} does not calculate in bfloat16 by itself, so it may be too slow.", name=best.name),
            T("Watch the real-time factor in the voice test."),
        )  # fmt: skip


def _driver(facts: HostFacts) -> Iterator[Finding]:
    major = (_version(facts.driver) or (0,))[0]
    if not major:
        return
    if major < OLDEST_DRIVER:
        yield _unfit(
            "driver",
            T("Its NVIDIA driver {version} is too old.", version=facts.driver),
            T("Install driver 525 or newer (580 is best), or choose a newer system image."),
        )
    elif major < CURRENT_DRIVER:
        yield _good(
            "driver",
            T("NVIDIA driver {version}; a build of torch for it is chosen.", version=facts.driver),
        )
    else:
        yield _good("driver", T("NVIDIA driver {version}.", version=facts.driver))


def _disk(facts: HostFacts, model: ModelKind | None) -> Iterator[Finding]:
    wanted = wanted_bytes(facts, model)
    place = best_place(facts, wanted)
    if place is None:
        yield _unfit(
            "disk",
            T("There is no folder there that we may write to and run programs from."),
            T("Log in as another user, or give this one a home folder."),
        )
        return
    free = gigabytes(place.free_bytes)
    if facts.install is not None:
        wanted = 0
    if place.free_bytes < wanted:
        yield _unfit(
            "disk",
            T("There are {free} GB free in {place}; {wanted} GB are needed.",
              free=free, place=place.path, wanted=gigabytes(wanted)),
            T("Free some space there, or attach a larger disk."),
        )  # fmt: skip
        return
    if model is None and place.free_bytes < wanted + MODEL_BYTES:
        yield _warn(
            "disk",
            T("There are {free} GB free in {place}; the 7B model would not fit.", free=free, place=place.path),
            T("Free some space or attach a larger disk before you choose that model."),
        )  # fmt: skip
    else:
        yield _good("disk", T("{free} GB free in {place}.", free=free, place=place.path))
    if facts.kind == "container" and not place.persistent:
        yield _warn(
            "volume",
            T("The folder {place} is inside a container and goes when that is removed.", place=place.path),
            T("If the provider offers a volume, attach one; else the model is fetched again then."),
        )  # fmt: skip


def _memory(facts: HostFacts, model: ModelKind | None) -> Iterator[Finding]:
    size = gigabytes(facts.memory_bytes)
    if not facts.memory_bytes:
        return
    if facts.memory_bytes < MEMORY_BYTES:
        yield _unfit(
            "memory",
            T("It has {size} GB of memory.", size=size),
            T("Choose a machine with 8 GB or more."),
        )
    elif model is not ModelKind.REHEARSAL and facts.memory_bytes < MODEL_MEMORY_BYTES:
        yield _warn(
            "memory",
            T("It has {size} GB of memory, which is little for the 7B model.", size=size),
            T("Loading may be slow or fail; 16 GB are comfortable."),
        )
    else:
        yield _good("memory", T("{size} GB of memory.", size=size))


def _service(facts: HostFacts) -> Iterator[Finding]:
    if facts.systemd and (facts.is_root or facts.lingers):
        yield _good(
            "service", T("The server runs as a system service and comes back after a restart.")
        )
    elif facts.systemd and facts.user_units:
        yield _warn(
            "service",
            T("Services of the user {user} end at logout.", user=facts.user),
            T("As root there, run: loginctl enable-linger {user}", user=facts.user),
        )
    elif facts.cron:
        yield _good("service", T("The server is watched, and cron starts it after a restart."))
    else:
        yield _warn(
            "service",
            T("The server is watched there, but nothing starts it after a restart of the machine."),
            T("PersonaDesk starts it again when it next connects; if the provider has a start command, use it."),
        )  # fmt: skip


def _clock(facts: HostFacts) -> Iterator[Finding]:
    if abs(facts.skew_s) < SKEW_SECONDS:
        return
    seconds = round(abs(facts.skew_s))
    if facts.skew_s > 0:
        what = T("Its clock is {seconds} s ahead.", seconds=seconds)
    else:
        what = T("Its clock is {seconds} s behind.", seconds=seconds)
    bad = abs(facts.skew_s) >= BAD_SKEW_SECONDS
    yield _warn(
        "clock",
        what,
        T("Set it right there before installing: downloads may be refused as not yet or no longer valid.")
        if bad
        else T("Its log's times differ from yours by as much."),
    )  # fmt: skip


def _internet(facts: HostFacts, model: ModelKind | None) -> Iterator[Finding]:
    if facts.registry is Reach.NO:
        level = _warn if facts.install is not None else _unfit
        yield level(
            "registry",
            T("The package registry cannot be reached from there."),
            T("Check the machine's network, proxy and pip settings."),
        )
    elif facts.registry is Reach.UNKNOWN and facts.install is None:
        yield _warn(
            "registry",
            T("Whether the package registry can be reached from there is not known."),
            T("If the installation fails, check the machine's network, proxy and pip settings."),
        )
    if facts.hub is Reach.NO and model in {None, ModelKind.PERSONAPLEX_7B}:
        yield _warn(
            "hub",
            T("The model hub cannot be reached from there."),
            T("The model can be copied from this computer, or taken from a folder there."),
        )


def _install(facts: HostFacts) -> Iterator[Finding]:
    if facts.install is None:
        return
    if facts.install.running:
        what = T(
            "A PersonaPlex server {version} runs there already.", version=facts.install.version
        )
    else:
        what = T("PersonaPlex {version} is installed there.", version=facts.install.version)
    yield _good("install", what)


def largest_part(gpu: GpuFact) -> int | None:
    """Return the memory that one server can have: the largest part of a divided card, else the whole."""
    sizes = [
        int(found[1]) * GIB
        for part in gpu.parts
        if (found := re.search(r"\.(\d+)gb", part, re.IGNORECASE))
    ]
    if sizes:
        # "40gb" is a label; what the part really has is slightly less, which the limit allows for.
        return max(sizes)
    return gpu.memory_bytes


def gigabytes(size: int) -> str:
    """Return a size for people: "0.4", "24", "80"."""
    value = size / GIB
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
