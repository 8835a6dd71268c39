"""Writes the one style sheet of the application from the theme's roles and scale.

Looks are chosen by properties (``kind="primary"``, ``type="page"``, ``tone="text2"``); no widget has a sheet of its
own. What Qt's sheets cannot draw well (ticks, rings, bars) is painted by the widgets themselves.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Protocol

from personadesk.ui.fonts import SCALE
from personadesk.ui.palettes import Role

if TYPE_CHECKING:
    from personadesk.ui.fonts import Faces
    from personadesk.ui.palettes import Palette

__all__ = ["build_stylesheet"]

_BASE = """
* { outline: none; }
QWidget { color: $text; }
QMainWindow, QDialog, QWidget[kind="page"] { background: $window; }
QToolTip { background: $inset; color: $text; border: ${edge}px solid $border_strong; padding: ${s4}px ${s6}px; }
QAbstractScrollArea { background: transparent; border: none; }
QScrollArea > QWidget > QWidget { background: transparent; }
QFrame[kind="card"] { background: $surface; border: ${edge}px solid $border; border-radius: ${r10}px; }
QFrame[kind="card"][hovered="true"] { border-color: $border_strong; }
QFrame[kind="inset"] { background: $inset; border: none; border-radius: ${r7}px; }
QFrame[kind="note"] { background: $accent_soft; border: none; border-radius: ${r7}px; }
QFrame[kind="rule"] { background: $border; border: none; }
QFrame[kind="sidebar"] { background: $sidebar; border: none; border-right: ${edge}px solid $border; }
QFrame[kind="topbar"] { background: $window; border: none; border-bottom: ${edge}px solid $border; }
QFrame[kind="footbar"] { background: $surface; border: none; border-top: ${edge}px solid $border; }
QFrame[kind="banner"] { border-radius: ${r10}px; border: ${edge}px solid $border_strong; background: $inset; }
QFrame[kind="banner"][tone="warn"] { background: $warn_soft; border-color: $warn; }
QFrame[kind="banner"][tone="err"] { background: $err_soft; border-color: $err; }
QFrame[kind="banner"][tone="ok"] { background: $ok_soft; border-color: $ok; }
QFrame[kind="banner"][tone="accent_text"] { background: $accent_soft; border-color: $accent_text; }
"""

_BUTTONS = """
QPushButton { background: $surface; color: $text; border: ${edge}px solid $border_strong; font-weight: 500;
  border-radius: ${r7}px; padding: 0 ${s12}px; min-height: ${control}px; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $accent_soft; }
QPushButton:disabled { background: $inset; color: $text3; border-color: $border; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border-color: $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover, QPushButton[kind="primary"]:pressed { background: $accent_hover;
  border-color: $accent_hover; }
QPushButton[kind="danger"] { background: $danger; color: $on_danger; border-color: $danger; font-weight: 600; }
QPushButton[kind="danger-outline"] { color: $err; border-color: $err; }
QPushButton[kind="danger-outline"]:hover { background: $err_soft; }
QPushButton[kind="primary"]:disabled, QPushButton[kind="danger"]:disabled, QPushButton[kind="danger-outline"]:disabled
  { background: $inset; color: $text3; border-color: $border; }
QPushButton[kind="quiet"] { background: transparent; color: $text2; border-color: transparent; }
QPushButton[kind="quiet"]:hover { background: $hover; color: $text; }
QPushButton[kind="quiet"]:disabled { color: $text3; }
QPushButton[kind="link"] { background: transparent; color: $accent_text; border-color: transparent;
  padding: 0 ${s4}px; $link_decoration }
QPushButton[kind="link"]:hover { text-decoration: underline; }
QPushButton[kind="link"]:disabled { color: $text3; }
QPushButton[kind="icon"] { background: transparent; border-color: transparent; padding: 0; min-width: ${control}px;
  max-width: ${control}px; }
QPushButton[kind="icon"]:hover { background: $hover; }
QPushButton[small="true"] { min-height: ${small}px; }
QPushButton[kind="icon"][small="true"] { min-width: ${small}px; max-width: ${small}px; }
QPushButton[large="true"] { min-height: ${large}px; padding: 0 ${s20}px; font-size: ${f_card_title}px; }
QPushButton[kind="nav"] { background: transparent; border: none; color: $text2; text-align: left; font-weight: 500;
  border-radius: ${r7}px; padding: 0 ${s11}px; min-height: ${nav}px; }
QPushButton[kind="nav"]:hover { background: $hover; }
QPushButton[kind="nav"]:checked { background: $nav_checked; color: $text; font-weight: 600; }
QPushButton[kind="nav"][narrow="true"] { padding: 0; text-align: center; }
QPushButton[kind="nav-foot"] { background: transparent; border: none; color: $text2; text-align: left;
  font-weight: 400; font-size: ${f_small}px; border-radius: ${r7}px; padding: 0 ${s8}px; min-height: ${s24}px; }
QPushButton[kind="nav-foot"]:hover { background: $hover; }
QFrame[kind="segments"] { background: $inset; border: ${edge}px solid $border; border-radius: ${r9}px; }
QPushButton[kind="segment"] { background: transparent; border-color: transparent; color: $text2;
  min-height: ${s24}px; padding: 0 ${s11}px; font-size: ${f_small}px; }
QPushButton[kind="segment"]:hover { color: $text; }
QPushButton[kind="segment"]:checked { background: $surface; border-color: $border_strong; color: $text;
  font-weight: 600; }
QPushButton[kind="step"] { background: transparent; border: none; color: $text2; padding: 0 ${s4}px; }
QPushButton[kind="step"][step="done"] { color: $text; }
QPushButton[kind="step"][step="done"]:hover { background: $hover; }
QPushButton[kind="step"][step="current"], QPushButton[kind="step"][step="current"]:disabled
  { background: $accent_soft; color: $accent_text; font-weight: 600; padding: 0 ${s12}px; }
QPushButton[kind="step"][step="todo"]:disabled { background: transparent; color: $text2; }
QPushButton[kind="fold"] { background: transparent; border: none; text-align: left; padding: 0 ${s4}px;
  font-weight: 700; font-size: ${f_card_title}px; }
QPushButton[kind="fold"][small="true"] { font-size: ${f_body}px; font-weight: 500; color: $text2; }
QPushButton::menu-indicator { image: none; width: 0; }
QCheckBox, QRadioButton { spacing: ${s8}px; min-height: ${s24}px; }
QCheckBox:disabled, QRadioButton:disabled { color: $text3; }
QCheckBox::indicator, QRadioButton::indicator { width: ${s18}px; height: ${s18}px; background: transparent;
  border: none; image: none; }
"""

_FIELDS = """
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox { background: $surface; color: $text; padding: 0 ${s10}px;
  border: ${edge}px solid $border_strong; border-radius: ${r7}px; min-height: ${control}px;
  selection-background-color: $accent; selection-color: $on_accent; }
QLineEdit:disabled, QComboBox:disabled, QPlainTextEdit:disabled { background: $inset; color: $text3;
  border-color: $border; }
QLineEdit[fault="true"], QPlainTextEdit[fault="true"] { border-color: $err; }
QLineEdit[kind="address"] { background: transparent; border: none; padding: 0; min-height: ${s24}px; }
QComboBox { font-weight: 400; padding-right: ${s32}px; }
QComboBox[has_icon="true"] { padding-left: ${s32}px; }
QComboBox::drop-down { border: none; width: 0; }
QComboBox::down-arrow { image: none; width: 0; height: 0; }
QComboBox QAbstractItemView { background: $surface; color: $text; border: ${edge}px solid $border_strong;
  padding: ${s4}px; selection-background-color: $accent_soft; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: ${s28}px; padding: 0 ${s6}px; border-radius: ${r5}px; }
QPlainTextEdit { background: $surface; color: $text; border: ${edge}px solid $border_strong;
  border-radius: ${r7}px; padding: ${s6}px ${s8}px; selection-background-color: $accent; selection-color: $on_accent; }
QPlainTextEdit[kind="log"] { background: $inset; border-color: $border; color: $text2; }
QSlider { min-height: ${s24}px; }
QSlider::groove:horizontal { height: ${s4}px; border-radius: ${s2}px; background: $border_strong; }
QSlider::sub-page:horizontal { background: $accent; border-radius: ${s2}px; }
QSlider::handle:horizontal { width: ${s12}px; height: ${s12}px; margin: -${s6}px 0; border-radius: ${s8}px;
  border: 2px solid $accent; background: $surface; }
QSlider::sub-page:horizontal:disabled { background: $border_strong; }
QSlider::handle:horizontal:disabled { border-color: $border_strong; background: $inset; }
"""

_VIEWS = """
QListView, QTreeView, QTableView { background: transparent; border: none; selection-background-color: $accent_soft;
  selection-color: $text; alternate-background-color: $inset; gridline-color: $border; }
QTableView::item { border-bottom: ${edge}px solid $border; padding: 0 ${s8}px; }
QHeaderView::section { background: $inset; color: $text2; border: none; border-bottom: ${edge}px solid $border;
  padding: ${s6}px ${s8}px; }
QScrollBar:vertical { background: transparent; width: ${s12}px; margin: ${s2}px; }
QScrollBar:horizontal { background: transparent; height: ${s12}px; margin: ${s2}px; }
QScrollBar::handle { background: $border_strong; border-radius: ${s4}px; min-height: ${s28}px; min-width: ${s28}px; }
QScrollBar::handle:hover { background: $text3; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QMenuBar { background: $sidebar; color: $text2; border-bottom: ${edge}px solid $border; padding: ${s2}px ${s8}px; }
QMenuBar::item { background: transparent; padding: ${s4}px ${s8}px; border-radius: ${r5}px; }
QMenuBar::item:selected { background: $hover; color: $text; }
QMenu { background: $surface; color: $text; border: ${edge}px solid $border_strong; padding: ${s4}px; }
QMenu::item { padding: ${s6}px ${s28}px ${s6}px ${s28}px; border-radius: ${r5}px; }
QMenu::item:selected { background: $accent_soft; color: $text; }
QMenu::item:disabled { color: $text3; }
QMenu::separator { height: ${edge}px; background: $border; margin: ${s4}px ${s8}px; }
QMenu::icon { padding-left: ${s8}px; }
QMenu::indicator { left: ${s8}px; width: ${s12}px; height: ${s12}px; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $border; }
QTabBar::tab { background: transparent; color: $text2; padding: ${s8}px ${s12}px; border: none;
  border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; font-weight: 600; }
QTabBar::tab:hover { color: $text; }
QTabBar[many="true"]::tab { padding: ${s8}px ${s8}px; }
QTabBar::tear { width: 0; border: none; }
QTabBar QToolButton { background: $surface; border: ${edge}px solid $border; border-radius: ${r5}px; }
QTabBar QToolButton:hover { background: $hover; }
QMessageBox { background: $surface; }
"""

_SPACES = (2, 4, 6, 8, 10, 11, 12, 16, 18, 20, 24, 28, 32)
_RADII = (5, 7, 9, 10)


class Dress(Protocol):
    """What a style sheet is made of; the theme is one."""

    palette: Palette
    faces: Faces

    @property
    def is_dark(self) -> bool:
        """Whether text is light on dark."""

    @property
    def body_pixels(self) -> float:
        """Height of body text."""

    @property
    def border(self) -> int:
        """Width of an edge."""

    def px(self, design: float) -> int:
        """Scale a size of the design to this font."""


def build_stylesheet(theme: Dress) -> str:
    """Return the style sheet for the theme's present colours and scale."""
    edge = theme.border
    values: dict[str, str | int] = {role.value: theme.palette.roles[role] for role in Role}
    values.update({f"s{size}": theme.px(size) for size in _SPACES})
    values.update({f"r{size}": theme.px(size) for size in _RADII})
    values["edge"] = edge
    # Qt's min-height leaves the edge out; the scale's heights are told with it.
    values["control"] = theme.px(32) - 2 * edge
    values["small"] = theme.px(26) - 2 * edge
    values["large"] = theme.px(44) - 2 * edge
    values["nav"] = theme.px(34)
    values["f_body"] = round(theme.body_pixels)
    values["f_small"] = round(theme.body_pixels * 0.92)
    values["f_card_title"] = round(theme.body_pixels * 1.08)
    values["link_decoration"] = (
        "text-decoration: underline;" if theme.palette.underline_links else ""
    )
    # On the light side bar the chosen page is a white plate; on dark ones a white plate would shout.
    lit = Role.INSET if theme.is_dark else Role.SURFACE
    values["nav_checked"] = theme.palette.roles[lit]
    rules = [Template(_BASE + _BUTTONS + _FIELDS + _VIEWS).substitute(values)]
    for type_, step in SCALE.items():
        size = round(theme.body_pixels * step.factor)
        rules.append(
            f'QLabel[type="{type_}"] {{ font-size: {size}px; font-weight: {step.weight}; }}'
        )
    rules.extend(
        f'QLabel[weight="{weight}"] {{ font-weight: {weight}; }}' for weight in (400, 500, 600, 700)
    )
    rules.extend(
        f'QLabel[tone="{role}"] {{ color: {theme.palette.roles[role]}; }}' for role in Role
    )
    rules.append(
        f'QLabel[mono="true"], QPlainTextEdit[mono="true"], QLineEdit[mono="true"] '
        f'{{ font-family: "{theme.faces.mono}"; }}'
    )
    return "\n".join(rules)
