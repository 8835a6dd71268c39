"""What a page is to the shell, and the list of pages it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Page", "PageSpec", "scrolled", "takes_focus"]


class Page(QWidget):
    """A page. It shows models that outlive it and keeps no truth of its own: a change of language builds it anew.

    Signals:
        title_changed: Title, sub-line or primary action are others now.
        page_asked: The user wants another page (its id).
        look_asked: The user wants other colours (a ``Look``'s value).
        language_asked: The user wants another language (its code).
    """

    title_changed = Signal()
    page_asked = Signal(str)
    look_asked = Signal(str)
    language_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    @property
    def title(self) -> str:
        """Heading in the top bar, in the user's language."""
        raise NotImplementedError

    @property
    def subtitle(self) -> str:
        """Line below the heading; may be empty."""
        return ""

    @property
    def primary_action(self) -> QWidget | None:
        """The one button, or switch, that the top bar shows for this page; made once, owned by the page."""
        return None

    def focus_first(self) -> None:
        """Put the keyboard on the first useful thing."""
        step: QWidget | None = self.nextInFocusChain()
        while step is not None and step is not self:
            if self.isAncestorOf(step) and takes_focus(step):
                step.setFocus(Qt.FocusReason.OtherFocusReason)
                return
            step = step.nextInFocusChain()

    def entered(self) -> None:
        """Begin what costs time only while the page shows."""

    def left(self) -> None:
        """End what ``entered`` began."""


@dataclass(frozen=True, slots=True)
class PageSpec:
    """A place in the side bar.

    Attributes:
        id: Its name in code.
        title: English, marked; shown in the side bar.
        icon: Name of its icon.
        factory: Makes the page on its first visit.
    """

    id: str
    title: str
    icon: str
    factory: Callable[[], Page]


def takes_focus(widget: QWidget) -> bool:
    """Whether the Tab key would stop at a widget."""
    return (
        widget.isVisible()
        and widget.isEnabled()
        and bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    )


def scrolled(content: QWidget) -> QScrollArea:
    """Return ``content`` in a frame that scrolls downwards when the window is too low for it."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    return area
