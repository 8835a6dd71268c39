"""The parts that pages are built from. Each follows the theme, and has a name for assistive technology."""

from __future__ import annotations

from personadesk.ui.widgets.address import AddressField
from personadesk.ui.widgets.banner import MessageBanner
from personadesk.ui.widgets.base import Painted, Rule, repolish
from personadesk.ui.widgets.busy import BusyRing
from personadesk.ui.widgets.buttons import Button, Kind, Segments, Size
from personadesk.ui.widgets.card import (
    Card,
    ChoiceCard,
    IconLabel,
    Note,
    clear_layout,
    hbox,
    vbox,
)
from personadesk.ui.widgets.day_strip import DayStrip, Quarter
from personadesk.ui.widgets.error_panel import ErrorPanel
from personadesk.ui.widgets.facts import DecisionRow, FactList, Figure, FigureCard, FigureStrip
from personadesk.ui.widgets.fields import CheckBox, ComboBox, ProgressBar
from personadesk.ui.widgets.focus import FocusRing
from personadesk.ui.widgets.fold import Fold
from personadesk.ui.widgets.foot_bar import FootBar
from personadesk.ui.widgets.level_meter import LevelMeter, Zone
from personadesk.ui.widgets.log_view import LogEntry, LogPanel, LogView
from personadesk.ui.widgets.pill import Pill
from personadesk.ui.widgets.sparkline import Sparkline
from personadesk.ui.widgets.stage_bar import Stage, StageBar
from personadesk.ui.widgets.state import SHAPE_ROLE, Shape, StateShape, paint_shape
from personadesk.ui.widgets.step_bar import StepBar
from personadesk.ui.widgets.step_list import StepList, StepRow
from personadesk.ui.widgets.text import ElidedLabel, label, set_tone
from personadesk.ui.widgets.waveform import RollingWaveform, Track, Waveform

__all__ = [
    "SHAPE_ROLE",
    "AddressField",
    "BusyRing",
    "Button",
    "Card",
    "CheckBox",
    "ChoiceCard",
    "ComboBox",
    "DayStrip",
    "DecisionRow",
    "ElidedLabel",
    "ErrorPanel",
    "FactList",
    "Figure",
    "FigureCard",
    "FigureStrip",
    "FocusRing",
    "Fold",
    "FootBar",
    "IconLabel",
    "Kind",
    "LevelMeter",
    "LogEntry",
    "LogPanel",
    "LogView",
    "MessageBanner",
    "Note",
    "Painted",
    "Pill",
    "ProgressBar",
    "Quarter",
    "RollingWaveform",
    "Rule",
    "Segments",
    "Shape",
    "Size",
    "Sparkline",
    "Stage",
    "StageBar",
    "StateShape",
    "StepBar",
    "StepList",
    "StepRow",
    "Track",
    "Waveform",
    "Zone",
    "clear_layout",
    "hbox",
    "label",
    "paint_shape",
    "repolish",
    "set_tone",
    "vbox",
]
