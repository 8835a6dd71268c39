"""Lines: the list, and below it the chosen line: its address, what it shall be, what the guardian did and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QPushButton, QWidget

from personadesk.domain.access import Tls, masked
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.lines import words
from personadesk.ui.lines.questions import MoveDialog, NewLineDialog, OutsideDialog, PortDialog
from personadesk.ui.lines.wish_form import WishForm
from personadesk.ui.messages import bus
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    AddressField,
    Button,
    Card,
    CheckBox,
    DecisionRow,
    ErrorPanel,
    FactList,
    Kind,
    Note,
    Pill,
    clear_layout,
    hbox,
    label,
    vbox,
)
from personadesk.ui.widgets.data_table import CELL_ROLE, Cell, DataTable

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from personadesk.ui.lines.model import LineFacts, LinesModel

    Index = QModelIndex | QPersistentModelIndex

__all__ = ["LinesPage"]

ONE_COLUMN_BELOW = 1040
SHOWN = 30
MOST_ROWS = 6
ROW_HEIGHT = 46


class _Rows(QAbstractTableModel):
    """The lines as a table's cells."""

    def __init__(self, owner: LinesModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._owner = owner
        self.lines: tuple[LineFacts, ...] = ()
        self._titles = (tr("Line"), tr("Address"), tr("Where now"), tr("Shall be"), tr("Calls"))

    def follow(self) -> None:
        """Show the owner's lines; the same lines keep their rows."""
        fresh = self._owner.lines
        same = [x.line.name for x in fresh] == [x.line.name for x in self.lines]
        if same:
            self.lines = fresh
            if fresh:
                self.dataChanged.emit(self.index(0, 0), self.index(len(fresh) - 1, 4), [CELL_ROLE])
            return
        self.beginResetModel()
        self.lines = fresh
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - as Qt has it
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - as Qt has it
        return 0 if parent.isValid() else len(self._titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        if not index.isValid():
            return None
        cell = self._cell(self.lines[index.row()], index.column())
        if role == CELL_ROLE:
            return cell
        if role in {Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.DisplayRole}:
            return cell.spoken
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or None
        return None

    def _cell(self, facts: LineFacts, column: int) -> Cell:
        line, wish = facts.line, facts.wish
        shape, word = words.standing(line, wish)
        if column == 0:
            return Cell(line.name, below=word, shape=shape, strong=True)
        if column == 1:
            outside = tr("also for other computers") if facts.outside is not None else ""
            return Cell(line.url, below=outside)
        if column == 2:
            return Cell(words.place_name(facts.place) if facts.place else "–")
        if column == 3:
            hours = words.hours_in_words(wish.hours) if wish is not None else tr("not said yet")
            return Cell(hours, tip=hours)
        waits = trn("{n} waits", "{n} wait", facts.waiting) if facts.waiting else ""
        return Cell(str(facts.calls), below=waits)


class LinesPage(Page):
    """The page.

    Signals:
        talk_asked: Talk to a line (its name).
        monitor_asked: Show the machine behind a line (a server's id).
        deploy_asked: Open the wizard.
        sleep_asked: Put a line to sleep, after a question where that ends something (its name).
        delete_asked: Delete a line, after a question (its name).
    """

    talk_asked = Signal(str)
    monitor_asked = Signal(str)
    deploy_asked = Signal()
    sleep_asked = Signal(str)
    delete_asked = Signal(str)

    def __init__(self, model: LinesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._chosen = ""
        self._told: tuple[object, ...] = ()
        self._new = Button(tr("New line"), kind=Kind.PRIMARY, icon="plus", parent=self)
        self._new.hide()
        self._new.clicked.connect(self.ask_new)
        column = vbox(self)
        content = QWidget()
        px = theme().px
        inside = vbox(content, gap=16)
        inside.setContentsMargins(px(24), px(18), px(24), px(20))
        column.addWidget(scrolled(content))
        self._error = vbox()
        inside.addLayout(self._error)
        inside.addWidget(self._make_process())
        self._empty = Note(
            tr("No lines yet. A line is an address that never changes, whatever stands behind it.")
        )
        inside.addWidget(self._empty)
        self._rows = _Rows(model, self)
        self.table = DataTable(tr("Lines"), self._rows)
        self.table.selectionModel().currentRowChanged.connect(self._row_chosen)
        inside.addWidget(self.table)
        self._details = QWidget()
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight, self._details)
        self._columns.setContentsMargins(0, 0, 0, 0)
        self._columns.setSpacing(px(16))
        left = vbox(gap=16)
        left.addWidget(self._make_head())
        self.form = WishForm()
        self.form.applied.connect(model.change)
        self.form.spare_asked.connect(model.ask_spare)
        model.quoted.connect(self.form.tell_spare)
        left.addWidget(self.form)
        left.addStretch(1)
        right = vbox(gap=16)
        right.addWidget(self._make_outside())
        right.addWidget(self._make_timeline())
        right.addStretch(1)
        self._columns.addLayout(left, 3)
        self._columns.addLayout(right, 2)
        inside.addWidget(self._details)
        inside.addStretch(1)
        model.changed.connect(self._follow)
        model.autostart_changed.connect(self._follow_process)
        model.refused.connect(self._refuse)
        model.done.connect(self._clear_error)
        self._follow()

    # -- the shell ----------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        return tr("Lines")

    @property
    def subtitle(self) -> str:
        if not self._model.lines:
            return tr("No lines yet")
        up = sum(each.line.state is LineState.UP for each in self._model.lines)
        return tr("{up} of {all} up", up=up, all=len(self._model.lines))

    @property
    def primary_action(self) -> QPushButton | None:
        return self._new

    def focus_first(self) -> None:
        """Put the keyboard on the list."""
        if self._model.lines:
            self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self._new.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        self._model.watch(True)

    def left(self) -> None:
        self._model.watch(False)

    def choose(self, name: str) -> None:
        """Show a line's details."""
        for row, facts in enumerate(self._rows.lines):
            if facts.line.name == name:
                self.table.selectRow(row)

    # -- questions ----------------------------------------------------------------------------------------------

    def ask_new(self) -> NewLineDialog:
        """Ask what a new line shall be."""
        names = [each.line.name for each in self._model.lines]
        dialog = NewLineDialog(self.window(), names, self._model.places)
        dialog.wanted.connect(self._model.create)
        dialog.deploy_asked.connect(self.deploy_asked)
        dialog.open()
        return dialog

    def _ask_move(self) -> None:
        facts = self._model.get(self._chosen)
        if facts is not None:
            dialog = MoveDialog(
                self.window(), facts.line.name, facts.place, self._offered(facts)
            )  # fmt: skip
            dialog.wanted.connect(lambda place, name=facts.line.name: self._model.move(name, place))
            dialog.open()

    def _offered(self, facts: LineFacts) -> list[Any]:
        """Return places to go to: those of the wish first, with what may be rented there."""
        wished = list(facts.wish.places) if facts.wish is not None else []
        keys = {place.key for place in wished}
        return wished + [place for place in self._model.places if place.key not in keys]

    def _ask_port(self) -> None:
        facts = self._model.get(self._chosen)
        if facts is not None:
            dialog = PortDialog(self.window(), facts.line, facts.calls)
            dialog.wanted.connect(
                lambda port, name=facts.line.name: self._model.set_port(name, port)
            )
            dialog.open()

    def _ask_outside(self) -> None:
        facts = self._model.get(self._chosen)
        if facts is not None:
            known = facts.outside.access if facts.outside is not None else None
            dialog = OutsideDialog(self.window(), facts.line, known)
            dialog.wanted.connect(
                lambda access, name=facts.line.name: self._model.open_outside(name, access)
            )
            dialog.open()

    def _ask_token(self) -> None:
        name = self._chosen
        question = Question(
            self.window(), tr("Make a new token for “{line}”?", line=name),
            tr("Programs on other computers that use the old one are refused from now on."),
            [Choice("renew", tr("New token"), Kind.DANGER)],
        )  # fmt: skip
        question.answered.connect(
            lambda key: self._model.renew_token(name) if key == "renew" else None
        )
        question.open()

    # -- the parts ----------------------------------------------------------------------------------------------

    def _make_process(self) -> Card:
        card = Card(padding=14, gap=8)
        row = hbox(gap=12)
        self._served = label("", Type.BODY, Role.TEXT2, wrap=True)
        row.addWidget(self._served, 1)
        self.end_background = Button(tr("Serve them in this window"))
        self.end_background.clicked.connect(self._model.end_background)
        row.addWidget(self.end_background)
        self.autostart = CheckBox(tr("Start with this computer"))
        self.autostart.clicked.connect(lambda on: self._model.start_with_computer(on))
        row.addWidget(self.autostart)
        card.add(row)
        return card

    def _make_head(self) -> Card:
        card = Card(padding=18, gap=12)
        head = hbox(gap=10)
        self._name = label("", Type.HEADING)
        self._pill = Pill("")
        head.addWidget(self._name)
        head.addStretch(1)
        head.addWidget(self._pill)
        card.add(head)
        self._reason = label("", Type.BODY, Role.TEXT2, wrap=True)
        card.add(self._reason)
        self._address = AddressField("", "")
        address = hbox(gap=8)
        address.addWidget(self._address, 1)
        self.change_port = Button(tr("Port…"), name=tr("Change the port"))
        self.change_port.clicked.connect(self._ask_port)
        address.addWidget(self.change_port)
        card.add(address)
        self._facts = FactList()
        card.add(self._facts)
        row = hbox(gap=8)
        self.talk = Button(tr("Talk"), kind=Kind.PRIMARY, icon="voice")
        self.talk.clicked.connect(lambda: self.talk_asked.emit(self._chosen))
        self.wake = Button(tr("Wake"), icon="play")
        self.wake.clicked.connect(lambda: self._model.wake(self._chosen))
        self.sleep = Button(tr("Sleep"), icon="moon")
        self.sleep.clicked.connect(lambda: self.sleep_asked.emit(self._chosen))
        self.move_ = Button(tr("Move…"), icon="move")
        self.move_.clicked.connect(self._ask_move)
        self.monitor = Button(tr("Monitor"), icon="monitor")
        self.monitor.clicked.connect(self._show_machine)
        self.delete = Button(tr("Delete…"), kind=Kind.DANGER_OUTLINE, icon="trash")
        self.delete.clicked.connect(lambda: self.delete_asked.emit(self._chosen))
        for button in (self.talk, self.wake, self.sleep, self.move_, self.monitor):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.delete)
        card.add(row)
        return card

    def _make_outside(self) -> Card:
        card = Card(tr("For other computers"), padding=18, gap=10)
        self._closed = label(tr("Only this computer reaches it."), Type.BODY, Role.TEXT2, wrap=True)
        card.add(self._closed)
        self._open_part = QWidget()
        part = vbox(self._open_part, gap=10)
        self._outside = AddressField("", tr("for other computers"))
        part.addWidget(self._outside)
        token = hbox(gap=8)
        self._token = label("", mono=True)
        self.copy_token = Button(tr("Copy token"), icon="copy")
        self.copy_token.clicked.connect(self._copy_token)
        token.addWidget(label(tr("Token"), Type.BODY, Role.TEXT3))
        token.addWidget(self._token)
        token.addStretch(1)
        token.addWidget(self.copy_token)
        part.addLayout(token)
        self._print = label("", Type.SMALL, Role.TEXT3, wrap=True, selectable=True)
        part.addWidget(self._print)
        card.add(self._open_part)
        row = hbox(gap=8)
        self.open_outside = Button(tr("Open…"), icon="lock")
        self.open_outside.clicked.connect(self._ask_outside)
        self.renew = Button(tr("New token…"))
        self.renew.clicked.connect(self._ask_token)
        self.close_outside = Button(tr("Close to others"))
        self.close_outside.clicked.connect(lambda: self._model.close_outside(self._chosen))
        for button in (self.open_outside, self.renew, self.close_outside):
            row.addWidget(button)
        row.addStretch(1)
        card.add(row)
        return card

    def _make_timeline(self) -> Card:
        card = Card(tr("What the guardian did, and why"), padding=18, gap=10)
        self._timeline = vbox(gap=10)
        card.add(self._timeline)
        return card

    # -- following ----------------------------------------------------------------------------------------------

    def _row_chosen(self, current: QModelIndex) -> None:
        if current.isValid():
            self._chosen = self._rows.lines[current.row()].line.name
            self._follow_line()

    def _follow(self) -> None:
        self._rows.follow()
        names = [each.line.name for each in self._model.lines]
        if self._chosen not in names:
            self._chosen = names[0] if names else ""
        self._empty.setVisible(not names)
        self.table.setVisible(bool(names))
        self._details.setVisible(bool(names))
        if names and not self.table.selectionModel().hasSelection():
            self.table.selectRow(names.index(self._chosen))
        rows = min(len(names), MOST_ROWS)
        self.table.setFixedHeight(
            theme().px(ROW_HEIGHT) * rows + self.table.horizontalHeader().sizeHint().height() + 4
        )
        self.table.fit_columns()
        self._follow_process()
        self._follow_line()
        self.title_changed.emit()

    def _follow_process(self) -> None:
        other, told = self._model.background, self._model.autostart
        served = (
            tr(
                "The lines are served in the background (process {pid}). This window shows and steers them.",
                pid=str(other.get("pid")),
            )
            if other is not None
            else tr("The lines are served by this window.")
            if self._model.serving
            else tr("The lines are served by another process of yours, or change hands at this moment.")
        )  # fmt: skip
        if told is not None and told.installed and told.unproven:
            served = f"{served} {show(told.unproven)}"
        self._served.setText(served)
        self.end_background.setVisible(other is not None)
        self.autostart.setEnabled(told is not None)
        self.autostart.setChecked(told is not None and told.installed)

    def _follow_line(self) -> None:
        facts = self._model.get(self._chosen)
        if facts is None:
            return
        line, wish = facts.line, facts.wish
        shape, word = words.standing(line, wish)
        self._name.setText(line.name)
        self._pill.set_state(word, shape)
        self._reason.setText(show(line.reason))
        self._reason.setVisible(bool(line.reason))
        self._address.set_address(line.url)
        here = words.place_name(facts.place) if facts.place else tr("nowhere")
        hours = words.hours_in_words(wish.hours) if wish is not None else "–"
        told = [
            (tr("Where now"), here),
            (tr("Hours"), hours),
            (tr("Since"), words.when(line.since)),
        ]
        if wish is not None and (wish.spare or facts.spare is not None):
            told.insert(1, (tr("Spare"), words.spare(facts.spare)))
        self._facts.set_facts(told)
        up = line.state in {LineState.UP, LineState.STARTING}
        self.talk.setEnabled(line.target is not None)
        self.wake.setVisible(not up)
        self.wake.setEnabled(wish is not None or line.target is not None)
        self.sleep.setVisible(up)
        self.move_.setEnabled(wish is not None)
        self.monitor.setEnabled(line.target is not None)
        self.form.show_wish(wish, self._model.places, self._model.zone)
        self._follow_outside(facts)
        self._follow_timeline(facts)

    def _follow_outside(self, facts: LineFacts) -> None:
        told = facts.outside
        self._closed.setVisible(told is None)
        self._open_part.setVisible(told is not None)
        self.renew.setVisible(told is not None)
        self.close_outside.setVisible(told is not None)
        self.open_outside.setText(tr("Open…") if told is None else tr("Change…"))
        if told is None:
            return
        self._outside.set_address(told.urls[0])
        self._token.setText(masked(told.token))
        self._print.setText(
            tr(
                "Certificate of this computer, SHA-256 {print}",
                print=told.fingerprint.replace(":", " "),
            )
            if told.fingerprint
            else tr("Without a certificate the token and every word can be read on the way.")
            if told.access.tls is Tls.OFF
            else tr("Certificate: {file}", file=told.access.certificate)
        )

    def _follow_timeline(self, facts: LineFacts) -> None:
        told = (facts.line.name, facts.decisions)
        if told == self._told:
            return
        self._told = told
        clear_layout(self._timeline)
        if not facts.decisions:
            self._timeline.addWidget(
                label(tr("Nothing yet: it had nothing to mend."), Type.BODY, Role.TEXT2, wrap=True)
            )
        for entry in reversed(facts.decisions[-SHOWN:]):
            shape, deed, why = words.decision(entry)
            what = f"{words.when(entry.at)}  ·  {deed}"
            self._timeline.addWidget(DecisionRow(shape, what, why))

    def _copy_token(self) -> None:
        from PySide6.QtGui import QGuiApplication

        facts = self._model.get(self._chosen)
        if facts is not None and facts.outside is not None:
            QGuiApplication.clipboard().setText(facts.outside.token)

    def _show_machine(self) -> None:
        facts = self._model.get(self._chosen)
        if facts is not None and facts.line.target is not None:
            self.monitor_asked.emit(facts.line.target.server_id)

    def _refuse(self, error: Exception) -> None:
        clear_layout(self._error)
        if not isinstance(error, PersonaDeskError):
            bus().error(error)
            return
        panel = ErrorPanel(
            show(error.what), show(error.next), money=show(error.money), details=error.details
        )
        self._error.addWidget(panel)
        self._follow_process()

    def _clear_error(self, _what: str) -> None:
        clear_layout(self._error)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = self.width() < theme().px(ONE_COLUMN_BELOW)
        way = QBoxLayout.Direction
        self._columns.setDirection(way.TopToBottom if narrow else way.LeftToRight)
