"""How machines, their state, their facts and their ages are called in the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.errors import AuthFailed, NotFound, Unreachable
from personadesk.domain.host import Fitness, KeySource, Level
from personadesk.ui.i18n import language, mark, tr, trn
from personadesk.ui.moments import moment
from personadesk.ui.widgets import Shape

if TYPE_CHECKING:
    from personadesk.domain.host import Finding, HostFacts, HostRecord
    from personadesk.ui.servers.model import Machine

__all__ = [
    "address",
    "age",
    "count_on",
    "facts",
    "finding_shape",
    "gpu",
    "login",
    "short_facts",
    "state",
    "verdict",
]

GIB = 1024**3
MINUTE, HOUR, DAY = 60, 3600, 86400

_VERDICTS = {
    Fitness.FIT: (Shape.OK, mark("Fit")),
    Fitness.WARN: (Shape.WARN, mark("Fit, with a warning")),
    Fitness.UNFIT: (Shape.ERR, mark("Not fit")),
}

_SENTENCES = {
    Fitness.FIT: mark("This machine can run the voice."),
    Fitness.WARN: mark("This machine can run the voice, but read the warning."),
    Fitness.UNFIT: mark("This machine cannot run the voice as it is."),
}

_FINDINGS = {
    Level.GOOD: (Shape.OK, mark("Good")),
    Level.WARN: (Shape.WARN, mark("Warning")),
    Level.UNFIT: (Shape.ERR, mark("Stands in the way")),
}

_COUNT_ON = (
    (
        mark("Keeps the GPU"),
        Shape.OK,
        mark("Yes"),
        mark("It is yours: nobody takes it away."),
    ),
    (
        mark("Keeps the address"),
        Shape.PARTLY,
        mark("Partly"),
        mark("As your network gives it. Your line hides that: its own address stays."),
    ),
    (
        mark("Starts and stops simply"),
        Shape.OK,
        mark("Yes"),
        mark("Stop and start on Home; nothing is billed either way."),
    ),
)


def state(machine: Machine) -> tuple[Shape, str]:
    """Return shape and word of how a machine stands."""
    if machine.is_leaving:
        return Shape.BUSY, tr("Being uninstalled")
    if machine.looking:
        return Shape.BUSY, tr("Being checked")
    error = machine.error
    if error is not None:
        word = tr("Failed")
        if error.cause == "host_key_changed":
            word = tr("Another key")
        elif isinstance(error, AuthFailed):
            word = tr("Login refused")
        elif isinstance(error, (Unreachable, NotFound)):
            word = tr("Cannot connect")
        return Shape.ERR, word
    if machine.check is None:
        return Shape.EMPTY, tr("Not checked yet")
    shape, word = _VERDICTS[machine.check.verdict]
    return shape, tr(word)


def verdict(found: Fitness) -> tuple[Shape, str, str]:
    """Return shape, word and sentence of a verdict."""
    shape, word = _VERDICTS[found]
    return shape, tr(word), tr(_SENTENCES[found])


def finding_shape(finding: Finding) -> tuple[Shape, str]:
    """Return shape and word of a finding."""
    shape, word = _FINDINGS[finding.level]
    return shape, tr(word)


def address(record: HostRecord) -> str:
    """Return where a machine is, as one would type it."""
    where = record.address
    place = where.host if where.port == 22 else where.place
    return f"{where.user}@{place}" if where.user else place


def login(record: HostRecord) -> str:
    """Return how one gets in."""
    if record.key_source is KeySource.OURS:
        return tr("the key that PersonaDesk made")
    if record.key_source is KeySource.AGENT:
        return tr("your SSH agent")
    return record.key_file or tr("the keys in ~/.ssh")


def gpu(found: HostFacts) -> str:
    """Return its GPUs in a few words; "" for none."""
    if not found.gpus:
        return ""
    first = found.gpus[0]
    name = first.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    shown = f"{name}, {size(first.memory_bytes)}" if first.memory_bytes else name
    return f"{len(found.gpus)} × {shown}" if len(found.gpus) > 1 else shown


def size(count: int) -> str:
    """Return a number of bytes in whole gigabytes."""
    return tr("{size} GB", size=round(count / GIB))


def short_facts(found: HostFacts) -> list[tuple[str, str]]:
    """Return the six facts that matter while a deploy runs, in reading order."""
    free = max((place.free_bytes for place in found.places if place.writable), default=0)
    return [
        (tr("System"), found.distribution or found.system),
        (tr("Processor cores"), str(found.cores) if found.cores else "–"),
        (tr("Memory"), size(found.memory_bytes) if found.memory_bytes else "–"),
        (tr("NVIDIA GPU"), gpu(found) or tr("none found")),
        (tr("Driver"), found.driver or "–"),
        (tr("Free disk"), size(free) if free else "–"),
    ]


def facts(found: HostFacts) -> list[tuple[str, str]]:
    """Return what a machine said of itself, in reading order."""
    kinds = {
        "container": mark("a container"),
        "vm": mark("a virtual machine"),
        "machine": mark("a machine of its own"),
    }
    kind = tr(kinds.get(found.kind, kinds["machine"]))
    if found.kind_detail:
        kind = f"{kind} ({found.kind_detail})"
    service = tr("none")
    if found.systemd:
        service = "systemd"
    elif found.cron:
        service = "cron"
    return [
        *short_facts(found),
        (tr("Kind"), kind),
        (tr("Services"), service),
    ]


def age(at: float, now: float) -> str:
    """Return how long ago something was, as one says it."""
    if not at:
        return tr("never")
    passed = max(0.0, now - at)
    if passed < MINUTE:
        return tr("just now")
    if passed < HOUR:
        return trn("{n} minute ago", "{n} minutes ago", int(passed // MINUTE))
    from PySide6.QtCore import QDateTime

    pattern = "HH:mm" if passed < DAY / 2 else "d MMMM, HH:mm"
    return language().locale.toString(QDateTime.fromSecsSinceEpoch(int(at)), pattern)


def count_on(machine: Machine | None = None) -> list[tuple[str, Shape, str, str]]:
    """Return the four answers for a machine of one's own: question, shape, word, sentence.

    Args:
        machine: Which one; None for any.
    """
    answers = [
        (tr(question), shape, tr(word), tr(sentence))
        for question, shape, word, sentence in _COUNT_ON
    ]
    return [*answers, (tr("Starts by itself"), *_starts(machine))]


def _starts(machine: Machine | None) -> tuple[Shape, str, str]:
    proof = machine.proof if machine is not None else None
    if proof is None:
        return (
            Shape.UNKNOWN,
            tr("Not proven yet"),
            tr("A deploy proves it: it restarts the service there once and waits for the voice."),
        )
    when = moment(proof.at)
    if not proof.outlives_reboots:
        return (
            Shape.PARTLY,
            tr("Partly"),
            tr(
                "Proven on {when}: the voice came back when its service was restarted. Nothing there "
                "starts it after a restart of the machine; PersonaDesk does when it next connects.",
                when=when,
            ),
        )
    return (
        Shape.OK,
        tr("Yes"),
        tr(
            "Proven on {when}: the voice came back when its service was restarted. After a restart "
            "of the machine {keeper} starts it.",
            when=when,
            keeper="cron" if proof.keeper == "cron" else "systemd",
        ),
    )
