"""Push buttons in the design's kinds, with icons that follow the theme, and the two-or-more-way switch."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from personadesk.ui.icons import icon as make_icon
from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets.base import repolish

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Button", "Kind", "Segments", "Size"]


class Kind(StrEnum):
    """How much a button asks for attention; one primary a page."""

    PLAIN = "plain"
    PRIMARY = "primary"
    DANGER = "danger"
    DANGER_OUTLINE = "danger-outline"
    QUIET = "quiet"
    LINK = "link"
    ICON = "icon"
    SEGMENT = "segment"
    FOLD = "fold"


class Size(StrEnum):
    """Height of a button."""

    SMALL = "small"
    REGULAR = "regular"
    LARGE = "large"


_ICON_ROLE = {
    Kind.PRIMARY: Role.ON_ACCENT,
    Kind.DANGER: Role.ON_DANGER,
    Kind.DANGER_OUTLINE: Role.ERR,
    Kind.LINK: Role.ACCENT_TEXT,
    Kind.PLAIN: Role.TEXT,
}


class Button(QPushButton):
    """A push button."""

    def __init__(
        self,
        text: str = "",
        *,
        kind: Kind = Kind.PLAIN,
        icon: str | None = None,
        size: Size = Size.REGULAR,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Make a button.

        Args:
            text: What it does, a verb; empty only for icon buttons.
            kind: How it looks.
            icon: Name of an icon left of the text.
            size: Its height.
            name: What assistive technology says where the text alone is not enough; also the
                tooltip of a button without a text.

        Raises:
            ValueError: neither a text nor a name was given.
        """
        super().__init__(text, parent)
        if not text and not name:
            raise ValueError("a button without a text needs a name")
        self._icon_name = icon
        self.setAutoDefault(False)
        self.setProperty("kind", kind.value)
        self.setProperty("small", "true" if size is Size.SMALL else "false")
        self.setProperty("large", "true" if size is Size.LARGE else "false")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        if name:
            self.setAccessibleName(name)
            if not text:
                self.setToolTip(name)
        self._draw_icon()
        theme().theme_changed.connect(self._draw_icon)

    @property
    def kind(self) -> Kind:
        """How it looks."""
        return Kind(self.property("kind"))

    def set_kind(self, kind: Kind) -> None:
        """Change how it looks."""
        if kind is not self.kind:
            self.setProperty("kind", kind.value)
            repolish(self)
            self._draw_icon()

    def set_icon(self, name: str | None) -> None:
        """Change or remove its icon."""
        if name != self._icon_name:
            self._icon_name = name
            self._draw_icon()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        # The sheet's font comes with the first polish; layouts have measured the plain one until then.
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()

    def _draw_icon(self) -> None:
        if self._icon_name is None:
            self.setIcon(QIcon())
            return
        size = theme().px(16)
        # Qt leaves 4 px between icon and text; the design 8.
        trailing = theme().px(3) if self.text() else 0
        role = _ICON_ROLE.get(self.kind, Role.TEXT2)
        self.setIcon(
            make_icon(
                self._icon_name, size, role, ratio=self.devicePixelRatioF(), trailing=trailing
            )
        )
        self.setIconSize(QSize(size + trailing, size))


class Segments(QFrame):
    """A choice between a few, side by side.

    Signals:
        chosen: The user took another one (its index).
    """

    chosen = Signal(int)

    def __init__(self, texts: Sequence[str], name: str, parent: QWidget | None = None) -> None:
        """Make the switch with its first choice taken.

        Args:
            texts: The choices.
            name: What is chosen, for assistive technology.
        """
        super().__init__(parent)
        self.setProperty("kind", "segments")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        edge = theme().px(2)
        row.setContentsMargins(edge, edge, edge, edge)
        row.setSpacing(edge)
        for index, text in enumerate(texts):
            button = Button(text, kind=Kind.SEGMENT, parent=self)
            button.setCheckable(True)
            button.setChecked(index == 0)
            self._group.addButton(button, index)
            row.addWidget(button)
        self._group.idClicked.connect(self.chosen)

    @property
    def current(self) -> int:
        """Index of the choice taken."""
        return self._group.checkedId()

    def choose(self, index: int) -> None:
        """Take a choice without announcing it."""
        self._group.button(index).setChecked(True)
