"""What a graph can be turned into: a table of its values, a picture, a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.ui.i18n import tr
from personadesk.ui.messages import bus
from personadesk.ui.monitor.value_table import ValueTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.ui.widgets.time_chart import TimeChart

__all__ = ["ask_path", "chart_menu", "charts_menu", "save_chart", "show_table", "written_or_told"]


def charts_menu(parent: QWidget, charts: Sequence[TimeChart], host: str) -> QMenu:
    """Return a menu with one of `chart_menu` for each graph.

    Args:
        parent: Where it opens.
        charts: The graphs.
        host: Begins the names of files.
    """
    menu = QMenu(parent)
    for chart in charts:
        inner = chart_menu(parent, chart, host)
        inner.setTitle(chart.title)
        inner.setParent(menu, inner.windowFlags())
        menu.addMenu(inner)
    return menu


def chart_menu(parent: QWidget, chart: TimeChart, host: str) -> QMenu:
    """Return what can be done with one graph; see `charts_menu`."""
    menu = QMenu(parent)
    menu.addAction(tr("Show as table")).triggered.connect(lambda: show_table(parent, chart))
    menu.addSeparator()
    for text, kind in (
        (tr("Save as PNG…"), "png"), (tr("Save as SVG…"), "svg"), (tr("Save as CSV…"), "csv")
    ):  # fmt: skip
        menu.addAction(text).triggered.connect(
            lambda _on=False, kind=kind: _save_as(parent, chart, host, kind)
        )
    return menu


def show_table(parent: QWidget, chart: TimeChart) -> ValueTable:
    """Show a graph's values as a table, in a window of its own; returns that window."""
    window = ValueTable(chart.title, chart.table(), parent)
    window.show()
    return window


def save_chart(chart: TimeChart, path: str) -> bool:
    """Write a graph to a file, as its ending says: PNG, SVG or CSV. A failure is told.

    Returns:
        Whether it was written.
    """

    def write() -> bool:
        if path.endswith(".csv"):
            Path(path).write_text(chart.csv(), encoding="utf-8")
            return True
        return chart.save_svg(path) if path.endswith(".svg") else chart.save_png(path)

    return written_or_told(path, write)


def ask_path(parent: QWidget, name: str, kind: str) -> str:
    """Ask where a file of that kind shall go; "" when the user does not want it any more."""
    path, _ = QFileDialog.getSaveFileName(
        parent, tr("Save the graph"), f"{name}.{kind}", f"*.{kind}"
    )
    return path if not path or path.endswith(f".{kind}") else f"{path}.{kind}"


def written_or_told(path: str, write: Callable[[], bool]) -> bool:
    """Write a file, and tell the user where that fails; returns whether it was written."""
    try:
        done = write()
    except OSError:
        done = False
    if not done:
        bus().error(
            BadRequest(
                T("The file {path} cannot be written.", path=path), T("Choose another folder.")
            )
        )
    return done


def _save_as(parent: QWidget, chart: TimeChart, host: str, kind: str) -> None:
    path = ask_path(parent, f"{host}-{chart.title}", kind)
    if path:
        save_chart(chart, path)
