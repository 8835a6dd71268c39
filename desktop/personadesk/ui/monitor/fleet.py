"""What the tiles and the table of all GPUs show, kept up to date sample by sample. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.alarm import Severity
from personadesk.domain.plan import LOCAL
from personadesk.domain.sample import Absent, Metric
from personadesk.ui.i18n import show, tr
from personadesk.ui.money import dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from personadesk.domain.alarm import Alarm
    from personadesk.domain.sample import Sample
    from personadesk.monitor.state import HostState

__all__ = [
    "CARD_METRICS", "Card", "Fleet", "Grouping", "Owner", "Section", "Sums", "state_word",
]  # fmt: skip

TICK = Metric.SERVER_TICK_P99
CARD_METRICS = (TICK, Metric.GPU_USE, Metric.GPU_MEMORY_USED, Metric.GPU_TEMPERATURE)
"""What a tile draws, from top to bottom."""
_PLAIN_METRICS = (TICK, Metric.CPU_USE, Metric.MEMORY_USED)


@dataclass(slots=True)
class Card:
    """One GPU, or a machine without one.

    Attributes:
        host: The machine as the monitor calls it.
        part: The GPU's index, "" for a machine without GPU.
        title: What it is called.
        below: Which GPU.
        line: The line whose voice runs on it, "" for none.
        provider: Whose machine it is.
        metrics: What is drawn of it.
        values: The newest figures; one that is not known is missing.
        why: Why there are no figures; "" when there are.
        trouble: The worst alarm that is on, None for none.
    """

    host: str
    part: str
    title: str
    below: str
    metrics: tuple[Metric, ...]
    values: dict[Metric, float] = field(default_factory=dict)
    why: str = ""
    trouble: Alarm | None = None
    line: str = ""
    provider: str = ""

    @property
    def key(self) -> str:
        """What stays the same while the GPU is there."""
        return f"{self.host}\n{self.part}"

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts by trouble: alarms, then silence, then the slowest voice and the hottest card."""
        if self.trouble is not None:
            first = 0 if self.trouble.rule.severity is Severity.ERROR else 1
        else:
            first = 2 if self.why else 3
        slow = self.values.get(TICK, 0.0) / 80
        hot = self.values.get(Metric.GPU_TEMPERATURE, 0.0) / 85
        return (first, -max(slow, hot), self.title)


class Grouping(StrEnum):
    """By what cards stand together."""

    NONE = "none"
    LINE = "line"
    PROVIDER = "provider"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Section:
    """Cards that stand together.

    Attributes:
        title: What they have in common; "" where they are not grouped.
        cards: In order.
    """

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose machine it is.

    Attributes:
        line: The line whose voice runs on it, "" for none.
        provider: Where it is.
    """

    line: str
    provider: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What all of it adds up to.

    Attributes:
        calls: Calls now.
        gpus: GPUs that were seen.
        price: Dollars an hour that are known.
        worst_ms: The slowest voice's p99 in milliseconds, None where none tells.
    """

    calls: int
    gpus: int
    price: float
    worst_ms: float | None


class Fleet:
    """All cards."""

    def __init__(self, owner: Callable[[HostState], Owner] | None = None) -> None:
        """Make an empty one.

        Args:
            owner: Tells which line a machine carries, and whose it is.
        """
        self._owner = owner
        self.cards: dict[str, Card] = {}
        self._figures: dict[str, dict[tuple[Metric, str], float]] = {}
        self._by_host: dict[str, list[Card]] = {}
        self._sums: dict[str, tuple[float, float, float | None]] = {}

    def take(self, host: str, sample: Sample) -> None:
        """Take one sample; a figure that is not known any more is forgotten."""
        figures = self._figures.setdefault(host, {})
        for each in sample.readings:
            if isinstance(each.value, Absent):
                figures.pop((each.metric, each.part), None)
            else:
                figures[each.metric, each.part] = each.value
        self._sums[host] = _sum(figures)
        self._fill(self._by_host.get(host, ()), figures)

    def follow(self, hosts: Mapping[str, HostState], alarms: Iterable[Alarm]) -> bool:
        """Bring the cards to the machines there are and the alarms that are on.

        Returns:
            Whether there are other cards than before.
        """
        on: dict[tuple[str, str], Alarm] = {}
        for alarm in alarms:
            for key in ((alarm.host, alarm.part), (alarm.host, "")):
                before = on.get(key)
                if (
                    before is None
                    or alarm.rule.severity is Severity.ERROR is not before.rule.severity
                ):
                    on[key] = alarm
        were = list(self.cards)
        cards: dict[str, Card] = {}
        self._by_host = {}
        for name, state in hosts.items():
            made = self._cards_of(name, state)
            figures = self._figures.get(name)
            if figures is None:
                figures = self._figures[name] = {}
                for sample in state.samples.values():
                    self.take(name, sample)
            self._by_host[name] = made
            for card in made:
                card.why = _why(state)
                if self._owner is not None:
                    owner = self._owner(state)
                    card.line, card.provider = owner.line, owner.provider
                own = on.get((name, card.part)) if card.part else None
                whole = on.get((name, ""))
                card.trouble = own or (whole if whole is not None and not _of_card(whole) else None)
                cards[card.key] = card
            self._fill(made, figures)
        for name in set(self._figures) - set(hosts):
            del self._figures[name]
            self._sums.pop(name, None)
        self.cards = cards
        return list(cards) != were

    def sorted(self, *, by_trouble: bool) -> list[Card]:
        """Return the cards in order."""
        cards = list(self.cards.values())
        return sorted(cards, key=lambda card: card.rank) if by_trouble else cards

    def sections(
        self, *, by_trouble: bool, grouping: Grouping = Grouping.NONE, text: str = ""
    ) -> list[Section]:
        """Return the cards in order, grouped, and only those that a text is found in.

        Args:
            by_trouble: Whether the worst comes first, of the groups too.
            grouping: What stands together.
            text: Words that all must be found in a card's name, GPU, line, provider or state; "" keeps all.
        """
        words = text.casefold().split()
        kept = [
            card
            for card in self.sorted(by_trouble=by_trouble)
            if not words or all(word in _said(card) for word in words)
        ]
        if grouping is Grouping.NONE:
            return [Section("", tuple(kept))] if kept else []
        groups: dict[str, list[Card]] = {}
        for card in kept:
            groups.setdefault(_group(card, grouping), []).append(card)
        return [Section(title, tuple(cards)) for title, cards in groups.items()]

    def sums(self) -> Sums:
        """Add up."""
        sums = self._sums.values()
        ticks = [tick for _, _, tick in sums if tick is not None]
        return Sums(
            round(sum(calls for calls, _, _ in sums)),
            sum(bool(card.part) for card in self.cards.values()),
            sum(price for _, price, _ in sums),
            max(ticks, default=None),
        )

    def foot(self, card: Card) -> tuple[str, str]:
        """Return what stands below a card: calls, and what the machine costs an hour."""
        figures = self._figures.get(card.host, {})
        calls = [
            value for (metric, _), value in figures.items() if metric is Metric.SERVER_SESSIONS
        ]
        slots = [value for (metric, _), value in figures.items() if metric is Metric.SERVER_SLOTS]
        price = figures.get((Metric.MONEY_PRICE, ""))
        told = (
            tr("{calls} of {slots} calls", calls=round(sum(calls)), slots=round(sum(slots)))
            if calls
            else tr("no voice")
        )
        money = (
            tr("own power")
            if price is None and card.host == LOCAL
            else ""
            if price is None
            else tr("{price} /h", price=dollars(price))
        )
        return told, money

    def _cards_of(self, name: str, state: HostState) -> list[Card]:
        title = show(state.target.label)
        if not state.gpus:
            old = self.cards.get(f"{name}\n")
            return [old or Card(name, "", title, "", _PLAIN_METRICS)]
        found = []
        for index, gpu in state.gpus.items():
            old = self.cards.get(f"{name}\n{index}")
            several = len(state.gpus) > 1
            found.append(
                old
                or Card(
                    name, index, f"{title} · {index}" if several else title, gpu.name, CARD_METRICS
                )
            )
        return found

    @staticmethod
    def _fill(cards: Iterable[Card], figures: Mapping[tuple[Metric, str], float]) -> None:
        ticks = [value for (each, _), value in figures.items() if each is TICK]
        tick = max(ticks) if ticks else None
        for card in cards:
            for metric in card.metrics:
                value = tick if metric is TICK else figures.get((metric, card.part))
                if value is None:
                    card.values.pop(metric, None)
                else:
                    card.values[metric] = value


def _sum(figures: Mapping[tuple[Metric, str], float]) -> tuple[float, float, float | None]:
    """Return a machine's calls, price an hour and slowest voice; adding up hundreds of them anew each second costs."""
    calls, price, worst = 0.0, 0.0, None
    for (metric, _part), value in figures.items():
        if metric is Metric.SERVER_SESSIONS:
            calls += value
        elif metric is Metric.MONEY_PRICE:
            price += value
        elif metric is TICK:
            worst = value if worst is None else max(worst, value)
    return calls, price, worst


def state_word(card: Card) -> str:
    """Return a card's state in a word."""
    if card.trouble is not None:
        return show(card.trouble.rule.title)
    return tr("No figures") if card.why else tr("Fine")


def _group(card: Card, grouping: Grouping) -> str:
    match grouping:
        case Grouping.LINE:
            return card.line or tr("Without a line")
        case Grouping.PROVIDER:
            return card.provider or tr("Elsewhere")
        case _:
            return state_word(card)


def _said(card: Card) -> str:
    parts = (card.title, card.below, card.line, card.provider, state_word(card))
    return " ".join(parts).casefold()


def _of_card(alarm: Alarm) -> bool:
    return bool(alarm.part) and alarm.rule.quantity.value in {"gpu_gone", "memory", "temperature"}


def _why(state: HostState) -> str:
    if not state.samples:
        return tr("Waiting for the first reading, about 5 seconds.")
    for sample in state.samples.values():
        if any(not isinstance(each.value, Absent) for each in sample.readings):
            return ""
    for sample in state.samples.values():
        for each in sample.readings:
            if isinstance(each.value, Absent):
                return show(each.value.reason)
    return tr("Nothing is measured of this machine.")
