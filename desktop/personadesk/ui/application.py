"""Makes the Qt application: guard, style, faces, language. Everything that must exist before the first window."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QObject, Qt, QTranslator
from PySide6.QtWidgets import QApplication

from personadesk.ui.i18n import language
from personadesk.ui.icons import application_icon
from personadesk.ui.theme import Look, Theme, install_theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.fonts import Faces

__all__ = ["BrokenQtError", "lost_references", "make_application", "require_sound_qt"]

CALLS = 50


class BrokenQtError(RuntimeError):
    """This build of Qt for Python would abort the process after a while."""


def lost_references(calls: int = CALLS) -> int:
    """Return how many references to ``None`` Qt's calls lose; a sound build loses none.

    PySide6 6.12 on Python 3.11 loses one in nearly every call that returns nothing. The process then dies
    without a word after a few thousand calls.
    """
    probe = QObject()
    before = sys.getrefcount(None)
    for _ in range(calls):
        probe.setObjectName("probe")
    return before - sys.getrefcount(None)


def require_sound_qt() -> None:
    """Refuse to open a window that would die within seconds.

    Raises:
        BrokenQtError: with the sentence to show.
    """
    # Other things let go of None meanwhile; the defect loses one in each call.
    if lost_references() >= CALLS // 2:
        from PySide6 import __version__

        version = ".".join(str(part) for part in sys.version_info[:3])
        raise BrokenQtError(
            f"PySide6 {__version__} is broken on Python {version}: the window would crash. "
            'Install "PySide6-Essentials>=6.8,<6.12" instead.'
        )


def make_application(
    arguments: Sequence[str],
    *,
    look: Look = Look.SYSTEM,
    language_code: str = "en",
    text_percent: int = 100,
    less_motion: bool = False,
    base_pixels: int | None = None,
    faces: Faces | None = None,
) -> QApplication:
    """Return the application, dressed and ready for its first window.

    Args:
        arguments: As ``sys.argv``.
        look: Colours that the user chose.
        language_code: ``en`` or ``nl``.
        text_percent: Size of text against the system's.
        less_motion: The user's wish, beyond what the system asks for.
        base_pixels: Height of body text instead of the system's; for pictures and tests.
        faces: Families to use instead of loading the bundled ones.

    Raises:
        BrokenQtError: this build of Qt for Python is unsound.
    """
    require_sound_qt()
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_DontShowIconsInMenus, False)
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication([*arguments])
    application.setApplicationName("PersonaDesk")
    application.setApplicationDisplayName("PersonaDesk")
    application.setDesktopFileName("personadesk")
    install_theme(
        Theme(
            application,
            look=look,
            text_percent=text_percent,
            less_motion=less_motion,
            base_pixels=base_pixels,
            faces=faces,
        )
    )
    language().choose(language_code)
    _translate_qt(application)
    language().language_changed.connect(lambda: _translate_qt(application))
    application.setWindowIcon(application_icon())
    return application


def _translate_qt(application: QApplication) -> None:
    """Load Qt's own words (Cancel, Copy, Select all) for the language."""
    for old in application.findChildren(QTranslator):
        application.removeTranslator(old)
        old.deleteLater()
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if translator.load(f"qtbase_{language().code}", folder):
        application.installTranslator(translator)
