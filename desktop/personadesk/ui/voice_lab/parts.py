"""What the views of the lab share: their lines, the place of an error, ▶, and where a report goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from personadesk.ui.i18n import show, tr
from personadesk.ui.widgets import Button, ComboBox, ErrorPanel, Kind, clear_layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.errors import PersonaDeskError

__all__ = ["PlayButton", "fill_lines", "save_where", "show_error"]


class PlayButton(Button):
    """▶, or ■ while something plays."""

    def __init__(self, name: str) -> None:
        """Make one; `name` is what it plays, for assistive technology."""
        super().__init__(kind=Kind.ICON, icon="play", name=name)
        self._name = name

    def show_playing(self, *, playing: bool) -> None:
        """Offer to play, or to stop."""
        self.set_icon("stop" if playing else "play")
        self.setAccessibleName(tr("Stop playing") if playing else self._name)


def fill_lines(box: ComboBox, names: list[str], preferred: int = 0) -> None:
    """Offer lines, keeping the one chosen where it is still there."""
    if [box.itemText(index) for index in range(box.count())] == names:
        return
    chosen = box.currentText()
    box.clear()
    box.addItems(names)
    box.setCurrentIndex(names.index(chosen) if chosen in names else min(preferred, len(names) - 1))


def show_error(place: QVBoxLayout, error: PersonaDeskError | None) -> None:
    """Show why something did not begin, or nothing."""
    clear_layout(place)
    if error is not None:
        place.addWidget(ErrorPanel(show(error.what), show(error.next), details=error.details))


def save_where(parent: QWidget, save: Callable[[Path, Callable[[Path], None]], None]) -> None:
    """Ask for a folder, save a report in it, and show its page."""
    folder = QFileDialog.getExistingDirectory(parent, tr("Where shall the report go?"))
    if folder:
        save(Path(folder), _open_page)


def _open_page(page: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
