"""The main window: side bar, top bar, one page at a time. A shell; what a page does is the page's own affair."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QApplication, QMainWindow, QStackedWidget, QWidget

from personadesk.ui.actions import ActionId, make_action
from personadesk.ui.i18n import language, tr
from personadesk.ui.money import dollars
from personadesk.ui.places import ACCOUNTS, MONEY
from personadesk.ui.shell import menus
from personadesk.ui.shell.banner_area import BannerArea
from personadesk.ui.shell.navigation import NavigationBar, StatusLine
from personadesk.ui.shell.pages import takes_focus
from personadesk.ui.shell.top_bar import TopBar
from personadesk.ui.theme import Look, Role, theme
from personadesk.ui.widgets import FocusRing, MessageBanner, Shape, hbox, vbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QCloseEvent, QPaintEvent, QResizeEvent

    from personadesk.ui.preferences import Preferences
    from personadesk.ui.shell.pages import Page, PageSpec

__all__ = ["MainWindow"]

log = logging.getLogger(__name__)

START_SIZE = QSize(1440, 900)
SMALLEST = QSize(960, 640)
NARROW_BELOW = 1100


class MainWindow(QMainWindow):
    """The window.

    Signals:
        first_painted: The first page is on the screen; slow imports may begin.
        rebuilt: All was made anew, in another language or size; what was told in words wants telling again.
        closing: The user wants to close the window; call ``veto_close`` to keep it open.
    """

    first_painted = Signal()
    rebuilt = Signal()
    closing = Signal()

    def __init__(
        self, specs: Sequence[PageSpec], preferences: Preferences, *, rehearsal: bool = False
    ) -> None:
        """Build the window at the first page.

        Args:
            specs: The places, in the order of the side bar.
            preferences: Where place, look and language are remembered.
            rehearsal: Whether all of it is a rehearsal; the window then says so all the time.
        """
        super().__init__()
        self._rehearsal = rehearsal
        self._specs = list(specs)
        self._preferences = preferences
        self._pages: dict[str, Page] = {}
        self._current = self._specs[0].id
        self._painted = False
        self._vetoed = False
        self._told = ("", "", "")
        self._badge: tuple[str, int, str] | None = None
        self.setWindowTitle("PersonaDesk")
        self.setMinimumSize(SMALLEST)
        self.resize(START_SIZE.boundedTo(self.screen().availableSize()))
        if not preferences.geometry.isEmpty():
            self.restoreGeometry(preferences.geometry)
        self._build()
        self._ring = FocusRing(self)
        language().language_changed.connect(self._rebuild)

    @property
    def current_page(self) -> Page:
        """The page that shows."""
        return self._pages[self._current]

    @property
    def current_id(self) -> str:
        """Its id."""
        return self._current

    def page(self, page_id: str) -> Page:
        """Return a page; it is made on its first visit."""
        if page_id not in self._pages:
            spec = next(spec for spec in self._specs if spec.id == page_id)
            page = spec.factory()
            page.title_changed.connect(self._retitle)
            page.page_asked.connect(self.open_page)
            page.look_asked.connect(self.choose_look)
            page.language_asked.connect(self.choose_language)
            self._pages[page_id] = page
            self._stack.addWidget(page)
        return self._pages[page_id]

    def open_page(self, page_id: str) -> None:
        """Show a page and put the keyboard on its first useful thing."""
        if page_id not in {spec.id for spec in self._specs}:
            log.warning("no page %s", page_id)
            return
        before = self._pages.get(self._current)
        page = self.page(page_id)
        if before is not None and before is not page:
            before.left()
        changed = before is not page or self._stack.currentWidget() is not page
        self._current = page_id
        self._navigation.set_current(page_id)
        self._stack.setCurrentWidget(page)
        self._retitle()
        if changed:
            page.entered()
        page.focus_first()

    def set_status(self, cost: str = "", calm: str = "", trouble: str = "") -> None:
        """Say at the foot of the side bar what everything costs now.

        Args:
            cost: What is billed now and today; "" for nothing.
            calm: What the line above says instead of "Nothing costs money".
            trouble: Why that line is not to be relied on, a whole sentence; "" where it is.
        """
        self._told = (cost, calm, trouble)
        self._cost.set_text(cost or tr("{price} /h", price=dollars(0)))
        self._calm.set_text(calm or tr("Nothing costs money"), trouble)

    def set_badge(self, page_id: str, count: int, spoken: str) -> None:
        """Show a number beside a place of the side bar; see `NavigationBar.set_badge`."""
        self._badge = (page_id, count, spoken)
        self._navigation.set_badge(page_id, count, spoken)

    def veto_close(self) -> None:
        """Keep the window open; to be called while ``closing`` is emitted."""
        self._vetoed = True

    def choose_look(self, value: str) -> None:
        """Change the colours and remember them."""
        self._preferences.look = Look(value)
        theme().set_look(Look(value))
        self._fill_menus()

    def choose_language(self, code: str) -> None:
        """Change the language and remember it; the pages are built anew."""
        self._preferences.language = code
        language().choose(code)

    def choose_text_size(self, percent: str) -> None:
        """Change the size of text and remember it; the pages are built anew."""
        self._preferences.text_percent = int(percent)
        theme().set_text_percent(int(percent))
        self._rebuild()

    def focus_area(self, step: int) -> None:
        """Move the keyboard to the next (1) or previous (-1) area: side bar, top bar, page."""
        areas: list[QWidget] = [self._navigation, self._top_bar, self._stack]
        focused = QApplication.focusWidget()
        here = next(
            (i for i, area in enumerate(areas) if focused and area.isAncestorOf(focused)), 2
        )
        for offset in range(1, len(areas) + 1):
            area = areas[(here + step * offset) % len(areas)]
            if area is self._stack:
                self.current_page.focus_first()
                return
            target = next((w for w in area.findChildren(QWidget) if takes_focus(w)), None)
            if target is not None:
                target.setFocus()
                return

    def _build(self) -> None:
        central = QWidget()
        column = vbox(central)
        if self._rehearsal:
            column.addWidget(_rehearsal_strip())
        row = hbox()
        column.addLayout(row, 1)
        self._navigation = NavigationBar(self._specs)
        self._navigation.page_chosen.connect(self.open_page)
        self._calm = self._status_line("shield", Role.OK, ACCOUNTS)
        self._cost = self._status_line("coin", Role.TEXT2, MONEY)
        self.set_status(*self._told)
        if self._badge is not None:
            self.set_badge(*self._badge)
        self._top_bar = TopBar()
        self._stack = QStackedWidget()
        right = vbox()
        right.addWidget(self._top_bar)
        right.addWidget(BannerArea())
        right.addWidget(self._stack, 1)
        row.addWidget(self._navigation)
        row.addLayout(right, 1)
        self.setCentralWidget(central)
        central.setVisible(True)
        self._fill_menus()
        self._fit_width()
        self.open_page(self._current)

    def _status_line(self, icon_name: str, tone: Role, page_id: str) -> StatusLine:
        """Put a line at the foot of the side bar that opens a page."""
        title = next((tr(spec.title) for spec in self._specs if spec.id == page_id), "")
        line = StatusLine(icon_name, "", tone, opens=title)
        line.setObjectName(f"status-{page_id}")
        line.clicked.connect(lambda: self.open_page(page_id))
        self._navigation.add_status(line)
        return line

    def _rebuild(self) -> None:
        """Make everything anew in the language and size now in use; models outlive the pages."""
        self.current_page.left()
        old = self.centralWidget()
        self._top_bar.show_action(None)
        self._pages.clear()
        self._build()
        if old is not None:
            old.deleteLater()
        self.rebuilt.emit()

    def _fill_menus(self) -> None:
        bar = self.menuBar()
        menus.clear_menus(bar)
        for action in self.actions():
            self.removeAction(action)
            action.deleteLater()
        file = bar.addMenu(tr("&File"))
        file.addAction(make_action(ActionId.QUIT, self, self._quit))
        view = bar.addMenu(tr("&View"))
        menus.fill_page_actions(view, self._specs, self, self.open_page)
        view.addSeparator()
        menus.look_menu(view, self.choose_look)
        menus.language_menu(view, self.choose_language)
        menus.text_size_menu(view, self.choose_text_size)
        view.addSeparator()
        view.addAction(make_action(ActionId.NEXT_AREA, self, lambda: self.focus_area(1)))
        view.addAction(make_action(ActionId.PREVIOUS_AREA, self, lambda: self.focus_area(-1)))
        view.addAction(make_action(ActionId.FULL_SCREEN, self, self._toggle_full_screen))
        help_ = bar.addMenu(tr("&Help"))
        help_.addAction(make_action(ActionId.ABOUT, self, self._show_about))

    def _retitle(self) -> None:
        page = self.current_page
        self._top_bar.show_words(page.title, page.subtitle)
        self._top_bar.show_action(page.primary_action)
        title = f"{page.title} – PersonaDesk"
        self.setWindowTitle(f"{title} – {tr('Rehearsal')}" if self._rehearsal else title)

    def _fit_width(self) -> None:
        self._navigation.set_narrow(self.width() < theme().px(NARROW_BELOW))

    def _toggle_full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def _show_about(self) -> None:
        from personadesk.ui.shell.about import show_about  # not needed for the first paint

        show_about(self)

    def _quit(self) -> None:
        self.close()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_width()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._vetoed = False
        self.closing.emit()
        if self._vetoed:
            event.ignore()
            return
        self._preferences.geometry = self.saveGeometry()
        super().closeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            self.first_painted.emit()


def _rehearsal_strip() -> QWidget:
    """Return what tells a rehearsal from the real thing, over everything and never put away."""
    strip = QWidget()
    column = vbox(strip, margin=8)
    banner = MessageBanner(
        tr("Rehearsal: nothing real happens, nothing costs money"),
        shape=Shape.WARN,
        word=tr("Rehearsal"),
        closable=False,
    )
    column.addWidget(banner)
    return strip
