"""A window's surroundings for tests: one application with the bundled faces, and eyes that find what looks wrong."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = os.environ.get("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QRect, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollBar,
    QWidget,
)

from personadesk.store.settings import Settings
from personadesk.ui.application import make_application
from personadesk.ui.i18n import language
from personadesk.ui.messages import bus
from personadesk.ui.preferences import Preferences
from personadesk.ui.theme import Look, theme
from personadesk.ui.widgets import ElidedLabel

CONTROLS = (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
)


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The application at 13 px with the bundled faces, so that measures are the same everywhere."""
    return make_application(["personadesk"], look=Look.LIGHT, base_pixels=13)


@pytest.fixture(autouse=True)
def _as_at_the_start(qapp: QApplication) -> Iterator[None]:
    yield
    for widget in qapp.topLevelWidgets():
        if type(widget) is QWidget and not widget.isVisible():
            continue  # pyqtgraph's graphics views keep one without a parent; who deletes it ends the process
        widget.hide()
        widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    for message in bus().messages:
        bus().dismiss(message)
    language().choose("en")
    theme().set_text_percent(100)
    theme().set_look(Look.LIGHT)


@pytest.fixture(params=[Look.LIGHT, Look.DARK, Look.HIGH_CONTRAST])
def look(request: pytest.FixtureRequest) -> Look:
    """Each of the three colour tables in turn."""
    theme().set_look(request.param)
    chosen: Look = request.param
    return chosen


@pytest.fixture
def preferences(tmp_path: Path) -> Preferences:
    """Preferences of a first start."""
    return Preferences(Settings(tmp_path / "config" / "settings.toml"), tmp_path / "state")


@pytest.fixture
def settle() -> Callable[[int], None]:
    """Lets layouts, paints and short timers happen."""

    def wait(milliseconds: int = 10) -> None:
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    return wait


@dataclass(frozen=True)
class Eyes:
    """Finds what a person would see or hear as wrong; each returns sentences, none when all is well."""

    def clipped(self, root: QWidget) -> list[str]:
        """Texts that do not fit into their place."""
        found = []
        for label in root.findChildren(QLabel):
            if not label.isVisible() or not label.text() or isinstance(label, ElidedLabel):
                continue
            room = label.contentsRect()
            if label.wordWrap():
                wanted = label.heightForWidth(label.width())
                if wanted > label.height() + 1:
                    found.append(f"“{label.text()}” is {wanted} high in {label.height()}")
            elif label.fontMetrics().horizontalAdvance(label.text()) > room.width() + 1:
                found.append(f"“{label.text()}” is wider than its {room.width()}")
            elif label.fontMetrics().height() > label.height() + 2:
                found.append(f"“{label.text()}” is higher than its {label.height()}")
        for button in root.findChildren(QPushButton):
            if not button.isVisible() or not button.text() or hasattr(button, "elides"):
                continue
            if button.sizeHint().width() > button.width() + 1:
                found.append(f"button “{button.text()}” is narrower than its text")
        return found

    def overlapping(self, root: QWidget) -> list[str]:
        """Controls of one parent that lie over each other, or leave their parent."""
        found = []
        controls = [c for c in _controls(root) if c.isVisible()]
        for control in controls:
            parent = control.parentWidget()
            if _is_inner(control) or parent is None:
                continue
            if not parent.rect().adjusted(-1, -1, 1, 1).contains(control.geometry()):
                found.append(f"{_told(control)} leaves its parent")
            for other in controls:
                if other is control or other.parentWidget() is not parent or _is_inner(other):
                    continue
                both: QRect = control.geometry().intersected(other.geometry())
                if both.width() > 1 and both.height() > 1:
                    found.append(f"{_told(control)} lies over {_told(other)}")
        return found

    def nameless(self, root: QWidget) -> list[str]:
        """Controls that assistive technology could not call by a name."""
        return [
            f"{_told(control)} in {type(control.parentWidget()).__name__} has no name"
            for control in _controls(root)
            if control.isVisible()
            and not _is_inner(control)
            and not control.accessibleName()
            and not (isinstance(control, QAbstractButton) and control.text())
        ]

    def unreachable(self, root: QWidget) -> list[str]:
        """Buttons and fields that the Tab key does not come to."""
        found = []
        for control in _controls(root):
            if not control.isVisible() or not control.isEnabled() or _is_inner(control):
                continue
            if isinstance(control, QProgressBar):
                continue
            holder = control.parentWidget()
            served = isinstance(holder, QAbstractButton)
            if not control.focusPolicy() & Qt.FocusPolicy.TabFocus and not served:
                found.append(f"{_told(control)} is not reached by Tab")
        return found

    def all_faults(self, root: QWidget) -> list[str]:
        """Everything above."""
        return [
            *self.clipped(root),
            *self.overlapping(root),
            *self.nameless(root),
            *self.unreachable(root),
        ]


@pytest.fixture
def eyes() -> Eyes:
    """Finds clipped, overlapping, nameless and unreachable things."""
    return Eyes()


def _is_inner(control: QWidget) -> bool:
    """Qt's own parts of a larger control."""
    if isinstance(control, QScrollBar) or control.objectName().startswith("qt_"):
        return True
    return isinstance(control.parentWidget(), (QComboBox, QAbstractScrollArea))


def _told(control: QWidget) -> str:
    text = control.text() if isinstance(control, (QAbstractButton, QLineEdit)) else ""
    return f"{type(control).__name__} “{text or control.accessibleName()}”"


def _controls(root: QWidget) -> list[QWidget]:
    return [widget for widget in root.findChildren(QWidget) if isinstance(widget, CONTROLS)]
