"""What was said: the voice's own words, when the caller spoke, and where the connection was away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.text import Text
from personadesk.ui.i18n import show, tr
from personadesk.ui.talk.call_card import clock
from personadesk.ui.talk.transcript import TranscriptRow, TranscriptView
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Button, Card, ElidedLabel, Kind, Size, hbox, label

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.voice.talk_view import TalkSnapshot
    from personadesk.voice.transcript import Line

__all__ = ["TranscriptCard"]


class TranscriptCard(Card):
    """The card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=16, gap=8, parent=parent)
        head = hbox(gap=10)
        head.addWidget(label(tr("Transcript"), Type.CARD_TITLE))
        head.addWidget(
            ElidedLabel(
                tr("The voice writes down its own words, not yours"), Type.SMALL, Role.TEXT2
            ),
            1,
        )
        copy = Button(kind=Kind.ICON, icon="copy", size=Size.SMALL, name=tr("Copy the transcript"))
        head.addWidget(copy)
        self.add(head)
        self.view = TranscriptView(tr("Transcript"))
        copy.clicked.connect(self.view.copy_all)
        self.add(self.view, 1)
        self._lines: object = None

    def show_call(self, snapshot: TalkSnapshot | None) -> None:
        """Show the lines of a call; unchanged ones cost nothing."""
        key = (snapshot.transcript, snapshot.link.breaks) if snapshot is not None else None
        if key == self._lines:
            return
        self._lines = key
        self.view.show_rows(_rows(snapshot) if snapshot is not None else ())


def _rows(snapshot: TalkSnapshot) -> list[TranscriptRow]:
    told = [(line.at, _row(line)) for line in snapshot.transcript]
    for each in snapshot.link.breaks:
        text = (
            tr("away for {seconds} s, then the call went on", seconds=round(each.seconds, 1))
            if each.resumed
            else tr("away since then")
        )
        told.append(
            (each.at, TranscriptRow(clock(each.at), tr("Connection"), text, None, faint=True))
        )
    return [row for _at, row in sorted(told, key=lambda pair: pair[0])]


def _row(line: Line) -> TranscriptRow:
    you = line.who == "you"
    told = isinstance(line.text, Text)
    return TranscriptRow(
        time=clock(line.at),
        who=tr("You") if you else tr("Voice"),
        text=show(line.text) if isinstance(line.text, Text) else str(line.text),
        series=0 if you else 1,
        faint=told,
    )
