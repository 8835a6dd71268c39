"""What holds a card's clock down: NVML's bits, and their words for people."""

from __future__ import annotations

from personadesk.domain.text import T, Text

# NVML's clocks event reasons; being idle (0x01) or set by the user (0x02, 0x100) is no throttling, and being kept
# level with other cards (0x10) is a choice too.
WORDS: dict[int, tuple[str, Text]] = {
    0x04: ("power limit", T("Its power limit")),
    0x08: ("hardware slowdown", T("The hardware slows it down")),
    0x20: ("heat", T("Heat")),
    0x40: ("hardware heat", T("Heat, by the hardware")),
    0x80: ("hardware power brake", T("The power supply's brake")),
}
"""Bit to the voice server's word for it, and the word for people."""
HELD_DOWN = sum(WORDS)
"""All bits of what is throttling."""


def reasons(bits: float) -> tuple[Text, ...]:
    """Return in words what holds a card down, the figure of `Metric.GPU_THROTTLE_REASONS` given."""
    return tuple(words for bit, (_, words) in WORDS.items() if int(bits) & bit)


def bits_of(told: list[str]) -> int:
    """Return the bits of the voice server's words; words that are none of throttling add nothing."""
    return sum(bit for bit, (word, _) in WORDS.items() if word in told)
