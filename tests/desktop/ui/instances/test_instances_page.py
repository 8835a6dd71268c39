"""The page of machines by real clicks: what it shows, what may be done, and what is asked first."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit

import rented_samples as samples
from personadesk.deploy.rented import billing
from personadesk.deploy.rented.views import AccountView, FleetView
from personadesk.domain.errors import Unreachable
from personadesk.domain.machine import Action, Resource, ResourceKind
from personadesk.domain.text import T
from personadesk.ui.dialogs import Question
from personadesk.ui.instances.page import InstancesPage
from personadesk.ui.instances.rows import Column, cell
from personadesk.ui.instances.words import accounts_of, silent_of
from personadesk.ui.moments import time_of_day
from rented_scenes import rented_of

LEFT = Qt.MouseButton.LeftButton


class Still:
    """A page over a fleet that stays as it is; what is asked of it is written down."""

    def __init__(self, qtbot, view: FleetView, *accounts) -> None:
        self.rented = rented_of(view, *accounts)
        self.acted: list[tuple[list[str], Action]] = []
        self.rented.act = lambda machines, action: self.acted.append(
            ([machine.name for machine in machines], action)
        )
        self.page = InstancesPage(self.rented)
        self.rented.setParent(self.page)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 800)
        self.page.show()
        qtbot.waitExposed(self.page)
        self.qtbot = qtbot

    def click(self, name: str, *, also: bool = False) -> None:
        table = self.page.table
        row = next(n for n, row in enumerate(self.page.model.shown()) if row.machine.name == name)
        where = table.visualRect(self.page.model.index(row, 0)).center()
        keys = Qt.KeyboardModifier.ControlModifier if also else Qt.KeyboardModifier.NoModifier
        self.qtbot.mouseClick(table.viewport(), LEFT, keys, where)

    def press(self, text: str) -> None:
        from PySide6.QtWidgets import QPushButton

        button = next(
            b for b in self.page.findChildren(QPushButton) if b.text() == text and b.isVisible()
        )
        self.qtbot.mouseClick(button, LEFT)

    def end(self) -> None:
        """Click End… below the table; the notices have such buttons too."""
        self.qtbot.mouseClick(self.page._actions[Action.END], LEFT)

    def question(self) -> Question:
        return next(q for q in self.page.findChildren(Question) if q.isVisible())


@pytest.fixture
def still(qtbot) -> Still:
    return Still(qtbot, samples.TROUBLED, samples.MARKET, samples.PODS, samples.STUDIO)


def test_a_click_offers_what_may_be_done_and_ending_says_what_is_lost(still, qtbot):
    still.click("front-desk-1")
    still.end()
    question = still.question()
    assert question.accessibleName() == "End “front-desk-1”?"
    assert "Nothing is billed afterwards" in question.accessibleDescription()
    assert still.acted == []
    qtbot.mouseClick(question.button("do"), LEFT)
    assert still.acted == [(["front-desk-1"], Action.END)]


def test_escape_changes_nothing(still, qtbot):
    still.click("front-desk-1")
    still.end()
    qtbot.keyClick(still.question(), Qt.Key.Key_Escape)
    assert still.acted == []


def test_only_what_every_marked_machine_allows_is_offered(still):
    still.click("front-desk-1")
    still.click("support-demo-3", also=True)
    buttons = {action: b.isVisible() for action, b in still.page._actions.items()}
    assert [action for action, visible in buttons.items() if visible] == [Action.END]


def test_ending_many_wants_their_number_and_one_that_is_not_ours_its_name(still, qtbot):
    still.click("front-desk-1")
    still.click("support-demo-4", also=True)
    still.end()
    question = still.question()
    assert not question.button("do").isEnabled()
    field = question.findChild(QLineEdit)
    qtbot.keyClicks(field, "2")
    qtbot.mouseClick(question.button("do"), LEFT)
    assert [sorted(names) for names, _ in still.acted] == [["front-desk-1", "support-demo-4"]]
    still.click("jupyter")
    still.end()
    question = still.question()
    assert "Not made by PersonaDesk" in question.accessibleDescription()
    qtbot.keyClicks(question.findChild(QLineEdit), "jup")
    assert not question.button("do").isEnabled()
    qtbot.keyClicks(question.findChild(QLineEdit), "yter")
    assert question.button("do").isEnabled()
    qtbot.keyClick(question, Qt.Key.Key_Escape)


def test_a_double_click_shows_the_details_and_escape_closes_them(still, qtbot):
    still.click("front-desk-1")
    qtbot.keyClick(still.page.table, Qt.Key.Key_Return)
    assert still.page.details.isVisible()
    assert still.page.details.machine.name == "front-desk-1"
    still.click("jupyter")
    assert still.page.details.machine.name == "jupyter"
    qtbot.keyClick(still.page.table, Qt.Key.Key_Escape)
    assert not still.page.details.isVisible()


def test_what_happens_to_a_machine_is_told_among_its_events(still):
    from dataclasses import replace

    from personadesk.domain.machine import MachineState

    stopped = replace(samples.FRONT_DESK, state=MachineState.ENDING, said="terminating")
    accounts = {**samples.TROUBLED.accounts, "Studio": AccountView("Studio", (stopped,), seen=1.0)}
    still.rented._fleet.view = replace(samples.TROUBLED, accounts=accounts)
    still.rented.fleet_changed.emit()
    events = still.page.details._events[samples.FRONT_DESK.key]
    assert [event.what for event in events] == ["Runs → Ends (terminating)"]
    assert still.page.model.position(samples.ENDED.key) == -1


def test_a_filter_keeps_what_it_says_and_the_sum_follows(still, qtbot):
    qtbot.keyClicks(still.page._search, "netherlands")
    assert [row.machine.name for row in still.page.model.shown()] == ["support-demo-3"]
    assert still.page._sum.text() == "1 machine · $0.01 /h · $5.19 today"
    still.page._search.clear()
    still.page._account.setCurrentIndex(still.page._account.findData("Market"))
    assert {row.machine.account for row in still.page.model.shown()} == {"Market"}


def test_a_forgotten_machine_is_offered_for_adoption(still, qtbot):
    adopted = []
    still.rented.adopt = lambda machine: adopted.append(machine.name)
    still.press("Adopt")
    assert adopted == ["pd-5e5e0007"]


def test_without_an_account_the_way_to_one_is_shown(qtbot):
    page = Still(qtbot, FleetView())
    with qtbot.waitSignal(page.page.accounts_asked):
        page.press("Add account")
    assert page.page.primary_action is None


def test_columns_can_be_added(still, qtbot):
    still.page._column_actions[Column.ID].trigger()
    assert Column.ID in still.page.model.columns
    assert still.page.table.model().columnCount() == len(still.page.model.columns)


def told(page) -> str:
    return " | ".join(each.text() for each in page.findChildren(QLabel) if each.isVisible())


def test_a_machine_that_is_kept_for_a_look_says_until_when_and_can_be_ended_now(qtbot):
    still = Still(qtbot, samples.HELD, samples.MARKET, samples.PODS, samples.STUDIO)
    until = time_of_day(samples.HELD.held[samples.FAILED.key])
    name = samples.FAILED.name
    said = told(still.page._notices)
    assert f"{name} did not work and is kept for a look until {until}, then ended" in said
    # It is told once, though no line stands on it.
    assert f"{name} is billed without a line" not in said
    (row,) = [each for each in still.page.model.shown() if each.machine.name == name]
    assert cell(row, Column.STATE, samples.NOW).below == f"kept until {until}"
    still.click(name)
    qtbot.keyClick(still.page.table, Qt.Key.Key_Return)
    details = {name.text(): value.text() for name, value in still.page.details._facts._rows}
    assert details["Kept for a look"] == f"until {until}, then it is ended"
    still.press("End it now…")
    qtbot.mouseClick(still.question().button("do"), LEFT)
    assert still.acted == [([name], Action.END)]


def leftover(price: float | None, attached: str = "") -> Resource:
    return Resource(
        ResourceKind.VOLUME, "v", "Studio", name=f"at {price}", price=price, attached=attached
    )


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        ((None,), "1 other thing of yours may cost money; its price is not told: at None."),
        ((None, None), "2 other things of yours may cost money; their price is not told: at None, at None."),
        ((0.5, None), "2 other things of yours cost $0.50 /h: at 0.5, at None. The price of 1 of them is not told."),
        ((0.5,), "1 other thing of yours costs $0.50 /h: at 0.5."),
        ((0.0,), ""),
    ],
)  # fmt: skip
def test_what_is_left_over_is_told_also_where_its_price_is_not(qtbot, prices, says):
    left = (*(leftover(price) for price in prices), leftover(None, attached="m-1"))
    account = AccountView("Studio", leftovers=left)
    items = tuple(each.item for each in billing.found([account], (), (), {}, samples.NOW))
    view = FleetView({"Studio": account}, items=items)
    still = Still(qtbot, view, samples.STUDIO)
    assert told(still.page._notices) == says
    # What hangs on a machine has no told price either, and is counted at the foot of the side bar.
    assert view.untold == prices.count(None) + 1
    assert accounts_of(view, samples.NOW).endswith("not told")


def test_an_account_that_does_not_answer_is_told_with_since_when():
    gone = Unreachable(T("RunPod doesn't answer."))
    seen = samples.NOW - 300.0
    view = FleetView({
        "RunPod": AccountView("RunPod", seen=seen, error=gone), "Studio": AccountView("Studio"),
    })  # fmt: skip
    assert accounts_of(view, samples.NOW) == f"Not known since {time_of_day(seen)}"
    assert silent_of(view, samples.NOW).startswith(
        f"RunPod does not answer since {time_of_day(seen)}."
    )
    never = FleetView({"RunPod": AccountView("RunPod", error=gone)})
    assert accounts_of(never, samples.NOW) == "1 account does not answer"
    assert silent_of(never, samples.NOW).startswith("RunPod never answered.")
    assert silent_of(FleetView({"Studio": AccountView("Studio")}), samples.NOW) == ""
