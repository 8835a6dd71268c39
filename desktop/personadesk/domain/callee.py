"""Whom a voice test calls: a line of the user's own, or an address."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Callee:
    """One that can be called.

    Attributes:
        name: For people: the line, or the address as it was given.
        url: What is called.
        own: Whether it is a line of the user's own.
        place: Where its voice is, in a name of the user's or the provider's; "" when not known.
        price: Dollars an hour, 0 on a machine of one's own, None when not known.
        token: What it asks for, "" for nothing; it is in no printed form of this.
    """

    name: str
    url: str
    own: bool = False
    place: str = ""
    price: float | None = None
    token: str = field(default="", repr=False)
