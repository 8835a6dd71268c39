"""What the views of the lab share: their lines, the place of an error, ▶, and where a report goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import theme
from personadesk.ui.widgets import (
    Button,
    ComboBox,
    ErrorPanel,
    FootBar,
    Kind,
    ProgressBar,
    Size,
    clear_layout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.voice.compare import Row

    Save = Callable[[Path, Callable[[Path], None]], None]

__all__ = ["PlayButton", "RunFoot", "figure", "fill_lines", "save_where", "show_error"]


class RunFoot(FootBar):
    """The foot of a view that does one thing at a time: run or stop it, and save its report.

    Attributes:
        save: Shows once there is a report.
        stop: Shows while it goes on.
        run: Shows while it does not.
    """

    def __init__(
        self, run: Callable[[], None], stop: Callable[[], None], save: Save, progress: str = ""
    ) -> None:
        """Make it.

        Args:
            run: Begins it.
            stop: Ends it.
            save: Writes the report into a folder, and tells where its page is.
            progress: What the bar at the left shows, for assistive technology; "" for no bar.
        """
        super().__init__()
        self._bar = ProgressBar(progress, height=8) if progress else None
        if self._bar is not None:
            self._bar.setFixedWidth(theme().px(180))
            self.add_left(self._bar)
        self.save = Button(tr("Save report…"), icon="report", size=Size.LARGE)
        self.save.clicked.connect(lambda: save_where(self, save))
        self.stop = Button(tr("Stop"), kind=Kind.DANGER, icon="stop", size=Size.LARGE)
        self.stop.clicked.connect(stop)
        self.run = Button(tr("Run"), kind=Kind.PRIMARY, icon="play", size=Size.LARGE)
        self.run.clicked.connect(run)
        for button in (self.save, self.stop, self.run):
            self.add_right(button)

    def follow(self, *, on: bool, ready: bool, report: bool, done: float | None = None) -> None:
        """Show what can be done now.

        Args:
            on: Whether it goes on.
            ready: Whether it can begin.
            report: Whether there is something to save.
            done: How far it is, 0..1.
        """
        self.run.setVisible(not on)
        self.run.setEnabled(ready)
        self.stop.setVisible(on)
        self.save.setVisible(not on and report)
        if self._bar is not None:
            self._bar.setVisible(on)
            self._bar.set_fraction(done)

    def focus_first(self) -> None:
        """Put the keyboard on what ends or begins it."""
        wanted = self.run if self.stop.isHidden() else self.stop
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)


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


def figure(row: Row, index: int) -> str:
    """Return what one side of a comparison has in a row, and whether that is best, in the user's language."""
    from personadesk.voice.compare import shown

    told = show(shown(row, row.values[index]))
    return f"{told}  {tr('best')}" if row.best == index else told


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


def save_where(parent: QWidget, save: Save) -> None:
    """Ask for a folder, save a report in it, and show its page."""
    folder = QFileDialog.getExistingDirectory(parent, tr("Where shall the report go?"))
    if folder:
        save(Path(folder), _open_page)


def _open_page(page: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
