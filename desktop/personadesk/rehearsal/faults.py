"""What goes wrong in a rehearsal: at the next occasion, a number of times, or by chance."""

from __future__ import annotations

import itertools
import random
import re
import threading
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """What can be made to happen."""

    FAIL_BEFORE = "fail-before"
    """An API call fails with the provider's 500, and nothing was done."""
    FAIL_AFTER = "fail-after"
    """An API call takes effect, and still answers 500."""
    DROP_BEFORE = "drop-before"
    """The connection breaks without an answer, and nothing was done."""
    DROP_AFTER = "drop-after"
    """An API call takes effect, and the connection breaks before the answer."""
    SLOW_ANSWER = "slow-answer"
    """An API call is answered only after `seconds`."""
    RATE_LIMIT = "rate-limit"
    """An API call is refused as one too many, to be asked again after `seconds`."""
    WRONG_KEY = "wrong-key"
    """The key is refused as if nobody had it."""
    EXPIRED_KEY = "expired-key"
    """The key is refused as past its date, where the provider tells that apart."""
    NO_MONEY = "no-money"
    """Making or starting is refused for lack of money."""
    NO_CAPACITY = "no-capacity"
    """Making or starting is refused because none is free."""
    QUOTA = "quota"
    """Making is refused because the account may not have that many."""
    SLOW_BOOT = "slow-boot"
    """A machine takes `Pace.slow` times as long to come up."""
    BOOT_FAILS = "boot-fails"
    """A machine never comes up; its cloud says so."""
    GPU_GONE_AT_START = "gpu-gone-at-start"
    """A stopped machine cannot be started because its GPU was given away."""
    ADDRESS_CHANGES = "address-changes"
    """A machine has another address after it was stopped and started, or restarted."""
    GPU_VANISHES = "gpu-vanishes"
    """A running machine loses its GPU and goes on without."""
    MACHINE_VANISHES = "machine-vanishes"
    """A running machine is lost, as when its hardware breaks or a spot machine is taken back."""


OF_CALLS = frozenset(
    {
        Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.SLOW_ANSWER,
        Fault.RATE_LIMIT, Fault.WRONG_KEY, Fault.EXPIRED_KEY,
    }
)  # fmt: skip
"""These happen to API calls, and may be limited to some of them by `Rule.calls`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a fault happens.

    Attributes:
        fault: What.
        provider: Only there; "" for all.
        calls: Regular expression that "METHOD /path" must contain, for faults of API calls; "" for all.
        probability: 0 to 1. For a machine that runs (vanishing): the chance in each minute.
        times: How often at most, None without end.
        seconds: For slow answers and rate limits.
        where: Only in this region, or only of this kind of machine, for faults of machines; "" for everywhere. Where
            each offer is one host (Vast.ai) its number is its kind.
        id: Given when it is added.
    """

    fault: Fault
    provider: str = ""
    calls: str = ""
    probability: float = 1.0
    times: int | None = None
    seconds: float = 1.0
    where: str = ""
    id: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for the control route and the terminal."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> Rule:
        """Read it; unknown names are refused.

        Raises:
            ValueError: A name or a value makes no sense.
        """
        try:
            rule = Rule(**{**values, "fault": Fault(str(values.get("fault", "")))})
            re.compile(rule.calls)
            sound = 0 < rule.probability <= 1 and rule.seconds >= 0
            sound = sound and (rule.times is None or rule.times >= 1)
        except (TypeError, re.error) as error:
            raise ValueError(str(error)) from error
        if not sound:
            raise ValueError("probability is above 0 up to 1, times 1 or more, seconds 0 or more")
        return rule


class Faults:
    """The rules that are in force. Used by many threads."""

    def __init__(self, seed: int | None = None) -> None:
        """Take a seed, so that chance repeats itself."""
        self._random = random.Random(seed)  # noqa: S311 - a game of chance
        self._rules: list[Rule] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, fault: Fault | Rule, **options: Any) -> Rule:
        """Put a rule in force: `add(Fault.NO_CAPACITY, times=1)`; see `Rule`."""
        rule = fault if isinstance(fault, Rule) else Rule(fault, **options)
        with self._lock:
            rule = replace(rule, id=next(self._ids))
            self._rules.append(rule)
        return rule

    def remove(self, rule_id: int) -> bool:
        """Take a rule out of force; returns whether there was one."""
        with self._lock:
            before = len(self._rules)
            self._rules = [rule for rule in self._rules if rule.id != rule_id]
            return len(self._rules) < before

    def clear(self) -> None:
        """Take all rules out of force."""
        with self._lock:
            self._rules = []

    def rules(self) -> tuple[Rule, ...]:
        """Return what is in force, oldest first."""
        with self._lock:
            return tuple(self._rules)

    def happens(
        self,
        *faults: Fault,
        provider: str = "",
        call: str = "",
        share: float | None = None,
        at: tuple[str, ...] = (),
    ) -> Rule | None:
        """Return the rule by which one of these faults happens now, or None; it is used up by that where it is counted.

        Args:
            faults: Which are looked for.
            provider: Where.
            call: "METHOD /path", for faults of API calls.
            share: How much of a minute has passed, for chances per minute; None for a single occasion.
            at: Region and kind of the machine that it would happen to.
        """
        with self._lock:
            for number, rule in enumerate(self._rules):
                if rule.fault not in faults or rule.provider not in {"", provider}:
                    continue
                if rule.calls and not re.search(rule.calls, call):
                    continue
                if rule.where and rule.where not in at:
                    continue
                if self._random.random() >= _chance(rule.probability, share):
                    continue
                if rule.times is not None:
                    left = rule.times - 1
                    self._rules[number : number + 1] = [replace(rule, times=left)] if left else []
                return rule
        return None


def _chance(probability: float, share: float | None) -> float:
    if share is None or probability >= 1:
        return probability
    return float(1 - (1 - probability) ** share)
