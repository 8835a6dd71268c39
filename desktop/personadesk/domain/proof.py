"""Whether anything of ours is left at an account: what its provider says, and never what silence seems to say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.money import Item, Kind, rate
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Iterable


class Left(StrEnum):
    """What is left."""

    NOTHING = "nothing"
    """Its provider shows nothing of ours that could cost."""
    KEPT = "kept"
    """Nothing runs; disks, addresses or the like are kept and cost."""
    RUNNING = "running"
    UNCONFIRMED = "unconfirmed"
    """Nobody can say: the provider was not reached, or does not show what the record has."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What an account's provider says of what is left.

    Attributes:
        account: The account.
        left: What is left.
        items: What that is.
        seen: Unix time of the provider's answer; None where it never answered.
        why: Why it is not confirmed.
    """

    account: str
    left: Left
    items: tuple[Item, ...] = ()
    seen: float | None = None
    why: Text = NOTHING

    @property
    def text(self) -> Text:
        """The same in a sentence, without the time."""
        names = ", ".join(item.name for item in self.items)
        if self.left is Left.NOTHING:
            return T(
                "{account}: the provider confirms that nothing of ours is running.",
                account=self.account,
            )
        if self.left is Left.UNCONFIRMED:
            return T("{account}: not confirmed. {why}", account=self.account, why=self.why)
        costs = rate(self.items)
        price = f"{'≈ ' if costs.guessed else ''}${costs.dollars:.3f}"
        if costs.untold:
            price += " +"
        if self.left is Left.KEPT:
            return T(
                "{account}: the provider confirms that nothing of ours is running; kept, at {price} an hour: {names}.",
                account=self.account, price=price, names=names,
            )  # fmt: skip
        return T(
            "{account}: of ours there is still, at {price} an hour: {names}.",
            account=self.account, price=price, names=names,
        )  # fmt: skip


def proof(
    account: str, items: Iterable[Item], seen: float | None, error: Text, doubts: Iterable[str]
) -> Proof:
    """Return what is left at an account.

    Args:
        account: The account.
        items: What of ours its provider showed when it last answered.
        seen: Unix time of that; None where it never answered.
        error: Why it did not answer this time; empty when it did.
        doubts: Names of what the record has and the provider does not show.
    """
    left = tuple(item for item in items if item.account == account)
    names = ", ".join(doubts)
    if error or seen is None:
        return Proof(account, Left.UNCONFIRMED, left, seen, error or T("It was not asked yet."))
    if any(item.kind is not Kind.KEPT for item in left):
        return Proof(account, Left.RUNNING, left, seen)
    if names:
        why = T("The record has {names}, and the provider does not show it.", names=names)
        return Proof(account, Left.UNCONFIRMED, left, seen, why)
    return Proof(account, Left.KEPT if left else Left.NOTHING, left, seen)
