"""What is held against hosts, offers and regions that did badly: for how long, and why. Nothing is asked or done here.

    host     left alone: taken only when nothing else can be had
    offer    a GPU in a region (or the one that an ask's number names): comes after the others
    region   comes after the others; where hosts are told, only when two of them did badly there

The time doubles with each machine in a row that did badly, and ends with one that came up and has done well since.
What a machine cannot help (a refused key, a budget, a person who cancelled, this computer's network) never gets here.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.guarding import Box, Voice
from personadesk.domain.machine import MachineState
from personadesk.domain.offer import Stock
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.guarding import Observed
    from personadesk.domain.machine import Machine
    from personadesk.domain.offer import Offer

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR
KEPT_SECONDS = 90 * DAY
"""What is older says nothing any more."""


class Kind(StrEnum):
    """What was lived through."""

    WELL = "well"
    """It came up and its voice passed the test."""
    FORGOTTEN = "forgotten"
    """A person said that it shall not be held against it."""
    NO_GPU = "no-gpu"
    OLD_DRIVER = "old-driver"
    GPU_LOST = "gpu-lost"
    BROKE = "broke"
    """Its provider says that it is lost or has failed."""
    VANISHED = "vanished"
    """It is not there any more, and nobody here ended it; it may have been ended elsewhere."""
    TAKEN_BACK = "taken-back"
    """A spot machine, by the market."""
    NEVER_UP = "never-up"
    """It did not come up, or let nobody in."""
    SLOW = "slow"
    INSTALL = "install"
    SOLD_OUT = "sold-out"


class Scope(StrEnum):
    """What something can be held against."""

    HOST = "host"
    OFFER = "offer"
    REGION = "region"


COUNTS: Mapping[Kind, Mapping[Scope, float]] = {
    Kind.NO_GPU: {Scope.HOST: 3 * DAY, Scope.OFFER: 12 * HOUR, Scope.REGION: 2 * HOUR},
    Kind.OLD_DRIVER: {Scope.HOST: 7 * DAY, Scope.OFFER: 12 * HOUR},
    Kind.GPU_LOST: {Scope.HOST: 3 * DAY, Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR},
    Kind.BROKE: {Scope.HOST: DAY, Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR},
    Kind.VANISHED: {Scope.HOST: 6 * HOUR, Scope.OFFER: HOUR},
    Kind.TAKEN_BACK: {Scope.OFFER: HOUR},
    Kind.NEVER_UP: {Scope.HOST: 2 * DAY, Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR},
    Kind.SLOW: {Scope.HOST: 2 * DAY, Scope.OFFER: 12 * HOUR},
    Kind.INSTALL: {Scope.HOST: DAY, Scope.OFFER: 3 * HOUR, Scope.REGION: HOUR},
    Kind.SOLD_OUT: {Scope.OFFER: 5 * MINUTE},
}
"""For how long it counts the first time, in seconds; what is not named is not held against that."""
MOST: Mapping[Scope, float] = {Scope.HOST: 30 * DAY, Scope.OFFER: 2 * DAY, Scope.REGION: DAY}
"""The longest that it grows to."""
IN_A_ROW: Mapping[Scope, float] = {
    Scope.HOST: 60 * DAY,
    Scope.OFFER: 7 * DAY,
    Scope.REGION: 3 * DAY,
}
"""What lies further apart is no row."""
OF_THE_MARKET = frozenset({Kind.SOLD_OUT, Kind.TAKEN_BACK})
"""These say that others want it, not that it is bad; they count apart, and not for long."""
MARKET_MOST = HOUR
MARKET_IN_A_ROW = 6 * HOUR

_WORDS: Mapping[Kind, Text] = {
    Kind.NO_GPU: T("a machine came up without a GPU that works"),
    Kind.OLD_DRIVER: T("its driver was too old"),
    Kind.GPU_LOST: T("a machine lost its GPU"),
    Kind.BROKE: T("a machine broke down"),
    Kind.VANISHED: T("a machine vanished"),
    Kind.TAKEN_BACK: T("a machine was taken back"),
    Kind.NEVER_UP: T("a machine did not come up, or let nobody in"),
    Kind.SLOW: T("the voice was too slow"),
    Kind.INSTALL: T("the installation failed"),
    Kind.SOLD_OUT: T("it was sold out when it was asked for"),
}


@dataclass(frozen=True, slots=True)
class Experience:
    """What was lived through with one machine, or one try to get it.

    Attributes:
        machine: Which; what one machine did counts once in a row.
        kind: What.
        provider: Id of its provider.
        offer: The offer's name (`offer_name`); "" where only host or region is meant.
        region: The provider's own word; "" where it is not told.
        host: The provider's own word for the computer under it; "" where it is not told.
        gpu: Usual name of its GPU.
        place: For people.
        at: Unix time.
    """

    machine: str
    kind: Kind
    provider: str
    offer: str = ""
    region: str = ""
    host: str = ""
    gpu: str = ""
    place: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What something is held against.

    Attributes:
        scope: Of which sort it is.
        provider: Id of its provider.
        name: The provider's own word; for an offer its name.
    """

    scope: Scope
    provider: str
    name: str

    @property
    def key(self) -> str:
        """One word for it, as the terminal takes it."""
        return f"{self.provider}/{self.scope}/{self.name}"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is held against one subject now.

    Attributes:
        subject: What.
        kind: What was the last that happened of what counts the longest.
        at: Unix time at which that was.
        until: Unix time until which it counts.
        times: How many machines in a row.
        gpu: Usual name of its GPU.
        place: For people.
    """

    subject: Subject
    kind: Kind
    at: float
    until: float
    times: int = 1
    gpu: str = ""
    place: str = ""

    @property
    def leaves_alone(self) -> bool:
        """Whether it is taken only when nothing else can be had; otherwise it comes after the others."""
        return self.subject.scope is Scope.HOST

    def ends(self, now: float) -> Text:
        """Return until when it counts, for a row of a table."""
        return _until(self.until, now)

    def why(self, now: float) -> Text:
        """Return until when and why, a sentence."""
        what = _WORDS[self.kind]
        if self.times > 1:
            what = T("{what} ({count} times in a row)", what=what, count=self.times)
        values = {"until": _until(self.until, now), "what": what, "when": _when(self.at, now)}
        if self.leaves_alone:
            return T("Left alone until {until}: {what}, {when}.", **values)
        if self.subject.scope is Scope.REGION:
            return T("Its region comes after the others until {until}: {what}, {when}.", **values)
        return T("It comes after the others until {until}: {what}, {when}.", **values)


class Reputation:
    """What is held against whom at one moment.

    Attributes:
        now: Unix time.
    """

    def __init__(self, lived: Iterable[Experience] = (), now: float = 0.0) -> None:
        """Take what was lived through, in any order."""
        self.now = now
        found: dict[Subject, list[Experience]] = defaultdict(list)
        for each in sorted(lived, key=lambda each: each.at):
            for subject in _subjects(each):
                found[subject].append(each)
        doubts = (_doubt(subject, events, now) for subject, events in found.items())
        self._doubts = {doubt.subject: doubt for doubt in doubts if doubt is not None}

    def all(self) -> list[Doubt]:
        """Return all that is held against anything, what counts the longest first."""
        return sorted(self._doubts.values(), key=lambda each: (-each.until, each.subject.key))

    def against(self, offer: Offer) -> tuple[Doubt, ...]:
        """Return what is held against an offer, the worst first."""
        subjects = (
            Subject(Scope.HOST, offer.provider, offer.host),
            Subject(Scope.OFFER, offer.provider, offer_name(offer)),
            Subject(Scope.REGION, offer.provider, offer.region),
        )
        found = [self._doubts[each] for each in subjects if each.name and each in self._doubts]
        return tuple(sorted(found, key=lambda each: (not each.leaves_alone, -each.until)))

    def level(self, offer: Offer) -> int:
        """Return how much is held against an offer: 0 nothing, 1 it comes after the others, 2 it is left alone."""
        doubts = self.against(offer)
        if not doubts:
            return 0
        return 2 if doubts[0].leaves_alone else 1

    def sort(self, ranked: Iterable[Offer]) -> list[Offer]:
        """Return ranked offers with what did badly after the others, and what is sold out last."""
        return sorted(ranked, key=lambda each: (each.stock is Stock.NONE, self.level(each)))


def offer_name(offer: Offer) -> str:
    """Return an offer's key without its account: what is offered is the same to all."""
    return offer.key.removeprefix(f"{offer.account}|")


def trouble_of(step: StepName, error: PersonaDeskError) -> Kind | None:
    """Return what a failed step of a deploy says of its machine, None where it says nothing.

    Only what is known to be the machine's is named: what is not known here is somebody else's fault, or ours.
    """
    if step in {StepName.START, StepName.READY}:
        if _DRIVER_WORDS.search(error.details):
            return Kind.OLD_DRIVER
        return Kind.NO_GPU if _GPU_WORDS.search(error.details) else None
    return _BY_CAUSE.get(step, {}).get(error.cause)


_BY_CAUSE: Mapping[StepName, Mapping[str, Kind]] = {
    StepName.CHECK: {"gpu": Kind.NO_GPU, "driver": Kind.OLD_DRIVER, "registry": Kind.INSTALL},
    StepName.INSTALL: dict.fromkeys(
        (
            "disk_full", "does_not_import", "hash_mismatch", "install_failed", "install_timeout",
            "no_python", "registry",
        ),
        Kind.INSTALL,
    ),
    StepName.MODEL: {"model_timeout": Kind.INSTALL},
    StepName.VOICE_TEST: {"voice_slow": Kind.SLOW},
}  # fmt: skip
_DRIVER_WORDS = re.compile(
    r"CUDA driver version is insufficient|NVIDIA driver on your system is too old", re.IGNORECASE
)
_GPU_WORDS = re.compile(
    r"no CUDA-capable device|No CUDA GPUs are available|GPU is lost|fallen off the bus|uncorrectable ECC"
    r"|Unable to determine the device handle",
    re.IGNORECASE,
)
"""What CUDA and the driver say of a GPU that is not there, or breaks."""


def trouble_seen(machine: Machine) -> Kind | None:
    """Return what is wrong with a rented machine by its provider's own word, None when nothing is."""
    if machine.state in {MachineState.LOST, MachineState.FAILED}:
        return Kind.BROKE
    if machine.state is MachineState.RUNNING and machine.count == 0:
        return Kind.GPU_LOST
    return None


def trouble_found(seen: Observed) -> Kind | None:
    """Return what is wrong with a machine that the guardian gives up, None where that must be asked there."""
    if seen.voice is Voice.SLOW:
        return Kind.SLOW
    if seen.box is Box.RUNNING and seen.reached is False:
        # Its provider answers, so it is not this computer's network.
        return Kind.NEVER_UP
    return BOX_TROUBLE.get(seen.box)


BOX_TROUBLE: Mapping[Box, Kind] = {
    Box.NO_GPU: Kind.GPU_LOST, Box.BROKEN: Kind.BROKE, Box.GONE: Kind.VANISHED,
}  # fmt: skip
"""What the state of a machine says against it."""


def _subjects(each: Experience) -> Iterable[Subject]:
    named = ((Scope.HOST, each.host), (Scope.OFFER, each.offer), (Scope.REGION, each.region))
    for scope, name in named:
        forgets = each.kind in {Kind.WELL, Kind.FORGOTTEN}
        if name and (forgets or scope in COUNTS[each.kind]):
            yield Subject(scope, each.provider, name)


def _doubt(subject: Subject, events: Sequence[Experience], now: float) -> Doubt | None:
    """Return what is held against a subject; its experiences come oldest first."""
    forgiven = _forgiven(events)
    troubles = [
        each for each in events
        if each.at > forgiven and each.kind not in {Kind.WELL, Kind.FORGOTTEN}
    ]  # fmt: skip
    market = [each for each in troubles if each.kind in OF_THE_MARKET]
    bad = [each for each in troubles if each.kind not in OF_THE_MARKET]
    most, apart = MOST[subject.scope], IN_A_ROW[subject.scope]
    found = [
        *_row(subject, bad, most, apart),
        *_row(subject, market, MARKET_MOST, MARKET_IN_A_ROW),
    ]
    left = [doubt for doubt in found if doubt.until > now]
    return max(left, key=lambda each: (each.until, each.at), default=None)


def _forgiven(events: Sequence[Experience]) -> float:
    """Return the Unix time up to which all is forgiven: by a person, or by a machine that has done well since."""
    last: dict[str, float] = {}
    for each in events:
        if each.kind not in {Kind.WELL, Kind.FORGOTTEN}:
            last[each.machine] = each.at
    return max(
        (
            each.at for each in events
            if each.kind is Kind.FORGOTTEN
            or (each.kind is Kind.WELL and last.get(each.machine, 0.0) < each.at)
        ),
        default=0.0,
    )  # fmt: skip


def _row(
    subject: Subject, troubles: Sequence[Experience], most: float, apart: float
) -> Iterable[Doubt]:
    """Yield what each trouble does to its subject, by how many came before it in a row."""
    seen: list[Experience] = []
    for each in troubles:
        if seen and each.at - seen[-1].at > apart:
            seen = []
        seen.append(each)
        times = _strikes(subject, seen)
        if times:
            lasts = min(COUNTS[each.kind][subject.scope] * 2.0 ** min(times - 1, 20), most)
            yield Doubt(subject, each.kind, each.at, each.at + lasts, times, each.gpu, each.place)


def _strikes(subject: Subject, troubles: Sequence[Experience]) -> int:
    """Return how many machines did badly; of a region whose hosts are told, the first host alone is to blame."""
    if subject.scope is not Scope.REGION:
        return len({each.machine for each in troubles})
    hosts = {each.host for each in troubles if each.host}
    return len({each.machine for each in troubles if not each.host}) + max(0, len(hosts) - 1)


def _until(at: float, now: float) -> Text:
    then, today = time.localtime(at), time.localtime(now)
    clock = time.strftime("%H:%M", then)
    if then[:3] == today[:3]:
        return Text(clock)
    if then[:3] == time.localtime(now + DAY)[:3]:
        return T("{time} tomorrow", time=clock)
    return Text(time.strftime("%Y-%m-%d %H:%M", then))


def _when(at: float, now: float) -> Text:
    then, today = time.localtime(at), time.localtime(now)
    clock = time.strftime("%H:%M", then)
    if then[:3] == today[:3]:
        return T("today at {time}", time=clock)
    if then[:3] == time.localtime(now - DAY)[:3]:
        return T("yesterday at {time}", time=clock)
    return T("on {date}", date=time.strftime("%Y-%m-%d", then))
