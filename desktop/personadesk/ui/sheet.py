"""What scrolls in a page: as high as its texts need at the width they have, not at the least width they could have."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

__all__ = ["Sheet"]


class Sheet(QWidget):
    """Content for `scrolled()`.

    Qt's own least height reckons with texts wrapped at the least width, so pages scrolled that had room to spare.
    """

    def minimumSizeHint(self) -> QSize:
        """Return the least size, its height for the width that the frame gives."""
        layout = self.layout()
        if layout is None:
            return super().minimumSizeHint()
        least = layout.minimumSize()
        frame = self.parentWidget()
        width = max(least.width(), frame.width() if frame is not None else self.width())
        if not layout.hasHeightForWidth():
            return least
        return QSize(least.width(), layout.minimumHeightForWidth(width))
