"""The parts that a voice test's report is shown with: after a deploy, and in the voice console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QWidget

from personadesk.domain.report import Verdict
from personadesk.ui.deploy import words
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import FigureCard, StateShape, Track, Waveform, hbox, label, vbox

if TYPE_CHECKING:
    from personadesk.domain.report import Figure, VoiceReport

__all__ = ["figure_row", "heard_text", "reasons", "verdict_row", "waves"]

WAVE_STEP = 0.04
"""Seconds that one peak of a report's waves stands for."""

SHOWN_FIRST = ("connect_s", "first_audio_s", "real_time_factor", "gap_p99_ms", "late_percent")


def verdict_row(report: VoiceReport) -> QHBoxLayout:
    """Return the verdict as a shape and in words, with the figure that decided."""
    shape, word = words.verdict_shape(report.verdict)
    row = hbox(gap=16)
    row.addWidget(StateShape(shape, word, size=44), alignment=Qt.AlignmentFlag.AlignVCenter)
    told = vbox(gap=4)
    told.addWidget(label(words.sentence(report.sentence), Type.VERDICT, wrap=True))
    if report.explanation and str(report.explanation) != str(report.sentence):
        told.addWidget(label(words.sentence(report.explanation), Type.BODY, Role.TEXT2, wrap=True))
    row.addLayout(told, 1)
    return row


def reasons(report: VoiceReport) -> list[QWidget]:
    """Return why it did not pass, the three worst reasons; what the verdict says already is left out."""
    if report.verdict is Verdict.PASS:
        return []
    return [
        label(f"• {words.sentence(reason)}", Type.BODY, Role.TEXT2, wrap=True)
        for reason in report.reasons[:3]
        if dict(reason.values) != dict(report.sentence.values)
    ]


def figure_row(report: VoiceReport) -> QHBoxLayout:
    """Return five figures with their limits side by side."""
    row = hbox(gap=12)
    for figure in _chosen(report):
        shape, word = words.verdict_shape(figure.verdict)
        card = FigureCard(
            show(figure.limit.title),
            words.figure_value(figure),
            words.figure_limit(figure),
            shape,
            word,
            why=show(figure.limit.why),
        )
        row.addWidget(card, 1)
    return row


def waves(report: VoiceReport) -> Waveform:
    """Return what was said and heard as a picture."""
    seconds = WAVE_STEP * max(len(report.sent_wave), len(report.heard_wave), 1)
    picture = Waveform(
        [
            Track(tr("Test clip"), tr("we sent"), 0),
            Track(tr("Answer"), tr("we heard"), 1),
        ],
        seconds,
    )
    picture.set_sounds([report.sent_wave, report.heard_wave], WAVE_STEP)
    # It takes what room there is; asked for its wish, it would push the rest out of the window.
    picture.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
    picture.setMinimumHeight(theme().px(128))
    return picture


def heard_text(report: VoiceReport) -> QWidget:
    """Return what the voice wrote."""
    box = QFrame()
    box.setProperty("kind", "inset")
    column = vbox(box, gap=3, margin=12)
    column.addWidget(label(tr("Heard as text"), Type.SMALL, Role.TEXT3))
    words_heard = report.text.strip()
    if words_heard:
        column.addWidget(label(f"“{words_heard}”", Type.BODY, wrap=True, selectable=True))
    else:
        column.addWidget(label(tr("It wrote nothing."), Type.BODY, Role.TEXT2))
    return box


def _chosen(report: VoiceReport) -> list[Figure]:
    """Five figures: the usual ones, but none that did not pass is ever left out."""
    by_key = {figure.limit.key: figure for figure in report.figures}
    chosen = [by_key[key] for key in SHOWN_FIRST if key in by_key]
    missing = [f for f in report.figures if f not in chosen and f.verdict is not Verdict.PASS]
    for figure in missing:
        good = next((f for f in chosen if f.verdict is Verdict.PASS), None)
        if good is not None:
            chosen.remove(good)
        chosen.append(figure)
    return chosen
