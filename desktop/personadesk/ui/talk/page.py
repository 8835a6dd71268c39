"""The voice console as a page: the call, and beside it what was kept and the lab, chosen in the top bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from personadesk.ui.deploy.player import Player
from personadesk.ui.i18n import tr
from personadesk.ui.shell.pages import Page
from personadesk.ui.talk.console import Console
from personadesk.ui.talk.kept_view import KeptView
from personadesk.ui.voice_lab.compare_view import CompareView
from personadesk.ui.voice_lab.load_view import LoadView
from personadesk.ui.voice_lab.voice_test_view import VoiceTestView
from personadesk.ui.widgets import Segments, vbox

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call
    from personadesk.ui.talk.foreign import Foreign
    from personadesk.ui.talk.kept_calls import KeptCalls
    from personadesk.ui.talk.personas import Personas
    from personadesk.ui.voice_lab.lab import Lab

__all__ = ["TalkPage"]

View = Console | KeptView | VoiceTestView | CompareView | LoadView


class TalkPage(Page):
    """The page; call, personas, kept calls, the servers of others and the lab outlive it.

    Signals:
        move_asked: A line would be better off where the other one is (its name).
    """

    move_asked = Signal(str)

    def __init__(
        self,
        call: Call,
        personas: Personas,
        kept: KeptCalls,
        foreign: Foreign,
        lab: Lab,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._call = call
        self._shown = False
        self._was_on = call.is_on
        self.console = Console(call, personas, foreign, lab)
        self.kept = KeptView(kept, Player(parent=self))
        self.test = VoiceTestView(lab, call, Player(parent=self))
        self.compare = CompareView(lab, call, Player(parent=self))
        self.compare.move_asked.connect(self.move_asked)
        self.load = LoadView(lab, call)
        self._views: tuple[View, ...] = (
            self.console,
            self.kept,
            self.test,
            self.compare,
            self.load,
        )
        self.stack = QStackedWidget()
        for view in self._views:
            self.stack.addWidget(view)
        vbox(self).addWidget(self.stack)
        self.switch = Segments(
            [tr("Talk"), tr("Kept calls"), tr("Test"), tr("Compare two"), tr("Load")],
            tr("View"),
            self,
        )
        self.switch.chosen.connect(self.show_view)
        call.changed.connect(self._follow)

    @property
    def title(self) -> str:
        return tr("Voice console")

    @property
    def subtitle(self) -> str:
        return tr("Talk to a voice, and see where the time goes")

    @property
    def primary_action(self) -> QWidget | None:
        return self.switch

    @property
    def view(self) -> View:
        """What is shown."""
        return self._views[self.stack.currentIndex()]

    def show_view(self, index: int) -> None:
        """Show another view."""
        if index == self.stack.currentIndex():
            return
        if self._shown:
            self.view.left()
        self.switch.choose(index)
        self.stack.setCurrentIndex(index)
        if self._shown:
            self.view.entered()
            self.view.focus_first()

    def focus_first(self) -> None:
        self.view.focus_first()

    def entered(self) -> None:
        self._shown = True
        self.view.entered()

    def left(self) -> None:
        self._shown = False
        self.view.left()

    def _follow(self) -> None:
        # A call that begins, as by Talk on Home, is what one wants to see.
        if self._call.is_on and not self._was_on:
            self.show_view(0)
        self._was_on = self._call.is_on
