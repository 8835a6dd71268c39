"""The window around the pages."""

from __future__ import annotations

from personadesk.ui.shell.main_window import MainWindow
from personadesk.ui.shell.navigation import NavigationBar, StatusLine
from personadesk.ui.shell.pages import Page, PageSpec, scrolled
from personadesk.ui.shell.top_bar import TopBar

__all__ = ["MainWindow", "NavigationBar", "Page", "PageSpec", "StatusLine", "TopBar", "scrolled"]
