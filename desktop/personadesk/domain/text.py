"""Sentences that travel below the window: an English template with its values, translated where it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def _no_values() -> Mapping[str, Value]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence.

    Attributes:
        template: English, with named placeholders: `"Port {port} is taken."`. It is also the key of its translation.
        values: What the placeholders stand for, other sentences among them; kept apart so that each language
            formats them its own way.
    """

    template: str
    values: Mapping[str, Value] = field(default_factory=_no_values)

    def __str__(self) -> str:
        """The sentence in English."""
        return self.template.format_map(dict(self.values)) if self.values else self.template

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.template)

    def __hash__(self) -> int:
        return hash((self.template, tuple(sorted(self.values.items()))))


Value = str | int | float | Text


def T(template: str, **values: Value) -> Text:  # noqa: N802 - short and like the usual marker, since it stands everywhere
    """Mark a sentence for translation and bind its values."""
    return Text(template, MappingProxyType(values))


NOTHING = Text("")
