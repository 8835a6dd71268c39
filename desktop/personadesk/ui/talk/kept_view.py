"""Kept calls: a list to search, and of one of them sound, words and notes. All of it is on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QDateTime, QEvent, QObject, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPlainTextEdit, QWidget

from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import language, tr
from personadesk.ui.talk.call_card import clock
from personadesk.ui.talk.kept_calls import COLUMN_SECONDS
from personadesk.ui.talk.transcript import TranscriptRow, TranscriptView
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.voice_lab.parts import PlayButton
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    Kind,
    Shape,
    Size,
    Track,
    Waveform,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.cell_table import CellTable
from personadesk.ui.widgets.data_table import Cell, DataTable
from personadesk.voice.sessions import Ending, Kept

if TYPE_CHECKING:
    from PySide6.QtCore import QModelIndex

    from personadesk.ui.deploy.player import Player
    from personadesk.ui.talk.kept_calls import KeptCalls

__all__ = ["KeptView"]

SEARCH_MS = 250
LIST_WIDTH = 380
JSON_FILE, SRT_FILE = "transcript.json", "transcript.srt"


class KeptView(QWidget):
    """The view; it follows the model, which outlives it."""

    def __init__(self, calls: KeptCalls, player: Player, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._calls = calls
        self._player = player
        self._noted: Kept | None = None
        px = theme().px
        row = hbox(self, gap=14)
        row.setContentsMargins(px(24), px(18), px(24), px(18))
        row.addWidget(self._make_list(), 2)
        self._details = self._make_details()
        row.addWidget(self._details, 3)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SEARCH_MS)
        self._soon.timeout.connect(lambda: calls.look(self.search.text()))
        calls.changed.connect(self._follow)
        calls.shown.connect(self._show)
        player.moved.connect(self._played)
        self._follow()
        self._show()

    def entered(self) -> None:
        """Read what there is."""
        self._calls.look()

    def left(self) -> None:
        """Keep what was typed, and fall silent."""
        self._write_notes()
        self._player.stop()

    def focus_first(self) -> None:
        """Put the keyboard where one begins."""
        self.search.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.notes and event.type() is QEvent.Type.FocusOut:
            self._write_notes()
        return super().eventFilter(watched, event)

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_list(self) -> QWidget:
        card = Card(tr("Kept calls"), padding=16, gap=10)
        self._sum = label("", Type.SMALL, Role.TEXT2)
        card.add_to_head(self._sum)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search in words, notes, line and persona"))
        self.search.setAccessibleName(tr("Search in kept calls"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _text: self._soon.start())
        card.add(self.search)
        self._rows = CellTable((tr("Call"), tr("Length")), self)
        self.table = DataTable(tr("Kept calls"), self._rows)
        self.table.horizontalHeader().hide()
        self.table.selectionModel().currentRowChanged.connect(self._chosen)
        card.add(self.table, 1)
        self._empty = label("", Type.BODY, Role.TEXT2, wrap=True)
        card.add(self._empty)
        card.setMinimumWidth(theme().px(280))
        return card

    def _make_details(self) -> QWidget:
        card = Card(padding=16, gap=10)
        head = hbox(gap=8)
        words = vbox(gap=2)
        self._title = ElidedLabel("", Type.HEADING)
        self._facts = ElidedLabel("", Type.SMALL, Role.TEXT2)
        words.addWidget(self._title)
        words.addWidget(self._facts)
        head.addLayout(words, 1)
        self.folder = Button(tr("Open folder"), icon="external", size=Size.SMALL)
        self.folder.clicked.connect(self._open_folder)
        self.delete = Button(tr("Delete…"), kind=Kind.DANGER_OUTLINE, icon="trash", size=Size.SMALL)
        self.delete.clicked.connect(self._ask_delete)
        head.addWidget(self.folder)
        head.addWidget(self.delete)
        card.add(head)
        sound = hbox(gap=10)
        self.play = PlayButton(tr("Play the call"))
        self.play.clicked.connect(self._play)
        sound.addWidget(self.play, alignment=Qt.AlignmentFlag.AlignVCenter)
        self.waves = Waveform([Track(tr("You"), series=0), Track(tr("Voice"), series=1)], 1.0)
        self.waves.setFixedHeight(theme().px(150))
        sound.addWidget(self.waves, 1)
        card.add(sound)
        row = hbox(gap=8)
        row.addWidget(label(tr("Transcript"), Type.CARD_TITLE))
        row.addStretch(1)
        self.as_json = Button(tr("Export JSON…"), kind=Kind.LINK, size=Size.SMALL)
        self.as_json.clicked.connect(lambda: self._export(JSON_FILE))
        self.as_srt = Button(tr("Export SRT…"), kind=Kind.LINK, size=Size.SMALL)
        self.as_srt.clicked.connect(lambda: self._export(SRT_FILE))
        row.addWidget(self.as_json)
        row.addWidget(self.as_srt)
        card.add(row)
        self.transcript = TranscriptView(tr("Transcript"))
        card.add(self.transcript, 1)
        title = label(tr("&Notes"), Type.CARD_TITLE)
        card.add(title)
        self.notes = QPlainTextEdit()
        self.notes.setAccessibleName(tr("Notes on this call"))
        self.notes.setTabChangesFocus(True)
        self.notes.setFixedHeight(theme().px(64))
        self.notes.installEventFilter(self)
        title.setBuddy(self.notes)
        card.add(self.notes)
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        found = self._calls.found
        rows = [_cells(kept) for kept in found or ()]
        self._rows.show_rows((tr("Call"), tr("Length")), rows)
        self.table.fit_columns()
        self.table.setVisible(bool(rows))
        self._empty.setVisible(not rows)
        if found is not None:
            self._empty.setText(
                tr("No kept call has these words.")
                if self.search.text().strip()
                else tr("Nothing is kept yet. Press Record in a call, and it is found here.")
            )
        size = sum(kept.size for kept in found or ())
        self._sum.setText(language().locale.formattedDataSize(size) if size else "")

    def _show(self) -> None:
        kept = self._calls.chosen
        self._details.setVisible(kept is not None)
        self._player.stop()
        if kept is None:
            return
        index = next((i for i, each in enumerate(self._calls.found or ()) if each == kept), None)
        if index is not None and self.table.currentIndex().row() != index:
            self.table.selectRow(index)
        self._title.setText(f"{kept.line} · {_when(kept)}")
        voice = kept.voice.removesuffix(".pt")
        told = [clock(kept.seconds), kept.persona, voice, _ending(kept)]
        self._facts.setText(" · ".join(part for part in told if part))
        self.waves.set_sounds(self._calls.levels, COLUMN_SECONDS)
        self.play.setEnabled(kept.seconds > 0)
        self.delete.setEnabled(kept.ending is not Ending.WRITING)
        for button in (self.as_json, self.as_srt):
            button.setEnabled(kept.ending is not Ending.WRITING)
        self.transcript.show_rows(
            [
                TranscriptRow(
                    clock(each.start),
                    tr("You") if each.who == "you" else tr("Voice"),
                    each.text if each.who == "voice" else _spoke(each.end - each.start),
                    0 if each.who == "you" else 1,
                    faint=each.who == "you",
                )
                for each in self._calls.captions
            ]
        )
        if self._noted is None or self._noted.folder != kept.folder:
            self._write_notes()
            self.notes.setPlainText(kept.notes)
        self._noted = kept

    def _played(self, seconds: float | None) -> None:
        self.waves.set_played(seconds)
        self.play.show_playing(playing=seconds is not None)

    # -- deeds ------------------------------------------------------------------------------------------------

    def _chosen(self, current: QModelIndex, _before: QModelIndex) -> None:
        found = self._calls.found or ()
        if 0 <= current.row() < len(found):
            self._write_notes()
            self._calls.choose(found[current.row()])

    def _play(self) -> None:
        kept = self._calls.chosen
        if kept is not None:
            self._player.toggle_call(kept.folder)

    def _open_folder(self) -> None:
        kept = self._calls.chosen
        if kept is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(kept.folder)))

    def _export(self, name: str) -> None:
        to, _kind = QFileDialog.getSaveFileName(self, tr("Export the transcript"), name)
        if to:
            self._calls.export(name, Path(to))

    def _write_notes(self) -> None:
        # What was typed belongs to the call that it was typed under, whichever is looked at by now.
        noted = self._noted
        if noted is not None and any(
            each.folder == noted.folder for each in self._calls.found or ()
        ):
            self._calls.note(noted, self.notes.toPlainText())

    def _ask_delete(self) -> None:
        kept = self._calls.chosen
        if kept is None:
            return
        question = Question(
            self,
            tr("Delete this call?"),
            tr(
                "Its sound, transcript and notes are removed from this computer. This cannot be undone."
            ),
            [Choice("delete", tr("Delete"), Kind.DANGER)],
        )
        question.answered.connect(lambda key: self._calls.delete() if key == "delete" else None)
        question.open()


def _cells(kept: Kept) -> tuple[Cell, ...]:
    shape = {Ending.WRITING: Shape.RECORDING, Ending.CUT_OFF: Shape.WARN}.get(kept.ending)
    below = " · ".join(part for part in (_when(kept), kept.notes or kept.words) if part)
    return (
        Cell(kept.line, below, tip=_ending(kept), shape=shape, strong=True),
        Cell(clock(kept.seconds)),
    )


def _ending(kept: Kept) -> str:
    if kept.ending is Ending.WRITING:
        return tr("being recorded")
    return tr("cut off") if kept.ending is Ending.CUT_OFF else ""


def _when(kept: Kept) -> str:
    moment = QDateTime.fromSecsSinceEpoch(round(kept.started))
    told: Any = language().locale.toString(moment, "d MMM HH:mm")
    return str(told)


def _spoke(seconds: float) -> str:
    return tr("spoke for {seconds} s", seconds=round(seconds, 1))
