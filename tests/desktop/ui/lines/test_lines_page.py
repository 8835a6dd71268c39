"""The Lines page: what it tells of each line, and that each click asks for what it says."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[4] / "packaging"))

import pytest
from PySide6.QtCore import Qt, QTime
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from lines_scenes import LINES, PLACES, lines_model
from personadesk.deploy.rented.standby import Quote
from personadesk.domain.access import Access, Tls
from personadesk.domain.guarding import Deed
from personadesk.domain.hours import written
from personadesk.domain.line import LineState
from personadesk.domain.plan import LOCAL, ModelChoice
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish
from personadesk.hosts import local
from personadesk.lines.autostart import Autostart
from personadesk.lines.spares import Standing
from personadesk.store.wishes import Entry
from personadesk.ui.dialogs import Question
from personadesk.ui.i18n import language
from personadesk.ui.lines import words
from personadesk.ui.lines.model import LinesModel
from personadesk.ui.lines.page import LinesPage
from personadesk.ui.lines.questions import MoveDialog, NewLineDialog, OutsideDialog, PortDialog
from personadesk.ui.spawn import drain


class Asked:
    """Remembers what the page asks of its model."""

    def __init__(self, model: LinesModel) -> None:
        self.all: list[tuple[Any, ...]] = []
        for name in (
            "create", "change", "move", "wake", "sleep", "open_outside", "close_outside", "renew_token",
            "start_with_computer", "end_background", "set_port", "ask_spare",
        ):  # fmt: skip
            setattr(model, name, self._asker(name))

    def _asker(self, name: str) -> Callable[..., None]:
        return lambda *what: self.all.append((name, *what))


@pytest.fixture
def page(qtbot: Any, qapp: QApplication) -> LinesPage:
    language().choose("en")
    model = lines_model(*LINES, background=True)
    model.asked = Asked(model)  # type: ignore[attr-defined] # for the test to look at
    made = LinesPage(model)
    model.setParent(made)
    qtbot.addWidget(made)
    made.resize(1200, 1400)
    made.show()
    return made


def asked(page: LinesPage) -> list[tuple[Any, ...]]:
    return page._model.asked.all  # type: ignore[attr-defined,no-any-return]


def click(widget: QWidget) -> None:
    assert widget.isVisible()
    assert widget.isEnabled()
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def named(root: QWidget, name: str) -> QPushButton:
    QApplication.processEvents()
    (found,) = [
        b for b in root.findChildren(QPushButton) if b.accessibleName() == name and b.isVisible()
    ]
    return found


def dialog(page: LinesPage, kind: type[QWidget]) -> Any:
    (found,) = page.window().findChildren(kind)
    return found


def test_it_tells_how_each_line_is_and_what_the_guardian_did(page: LinesPage) -> None:
    QAbstractItemModelTester(page.table.model())
    words = said(page)
    assert "process 4321" in words
    assert "Deployed: Rented with Lambda, which failed" in words
    assert "Nothing stands behind the line. Lambda has no A10 free in us-west-1 now." in words
    assert "Mon–Fri 08:30–18:00; Sat 22:00–02:00 (Europe/Amsterdam)" in words
    assert LINES[0].outside is not None
    assert LINES[0].outside.token not in words
    click(page.copy_token)
    assert QGuiApplication.clipboard().text() == LINES[0].outside.token
    page.choose("Support demo")
    assert "The voice server does not run any more" in said(page)
    page.choose("Museum guide")
    assert "Asleep" in page.table.model().index(1, 0).data(Qt.ItemDataRole.DisplayRole)
    assert "Nobody called for 20 min." in said(page)


def test_a_start_with_the_computer_that_is_not_proven_says_so(page: LinesPage) -> None:
    assert "not yet proven live" not in said(page), "a systemd has shown it"
    page._model.autostart = Autostart("launchd", installed=True, running=True, at_boot=False)
    page._model.changed.emit()
    assert "not yet proven live" in said(page)
    page._model.autostart = Autostart("launchd", installed=False)
    page._model.changed.emit()
    assert "not yet proven live" not in said(page)


def test_every_action_asks_for_what_it_says(page: LinesPage, qtbot: Any) -> None:
    with qtbot.waitSignal(page.talk_asked) as talk:
        click(page.talk)
    assert talk.args == ["Front desk"]
    with qtbot.waitSignal(page.monitor_asked) as monitor:
        click(page.monitor)
    assert monitor.args == ["pd-1"]
    with qtbot.waitSignal(page.delete_asked) as delete:
        click(page.delete)
    assert delete.args == ["Front desk"]
    with qtbot.waitSignal(page.sleep_asked) as sleep:
        click(page.sleep)
    assert sleep.args == ["Front desk"]
    click(page.close_outside)
    click(page.end_background)
    click(page.autostart)
    page.choose("Museum guide")
    click(page.wake)
    assert asked(page) == [
        ("close_outside", "Front desk"), ("end_background",),
        ("start_with_computer", False), ("wake", "Museum guide"),
    ]  # fmt: skip
    page.choose("Front desk")
    click(page.renew)
    question = dialog(page, Question)
    click(question.button("renew"))
    assert asked(page)[-1] == ("renew_token", "Front desk")


def test_moving_names_the_order_and_takes_a_place(page: LinesPage) -> None:
    click(page.move_)
    move = dialog(page, MoveDialog)
    assert "passes its voice test" in said(move)
    assert move.place.currentData() != "host:studio", "not where it is already"
    move.place.setCurrentIndex(move.place.findData(LOCAL))
    click(move.go)
    assert asked(page) == [("move", "Front desk", Place(LOCAL))]


def test_a_new_line_is_judged_and_made(page: LinesPage) -> None:
    page.ask_new()
    new = dialog(page, NewLineDialog)
    click(new.go)
    assert new.name.fault == "Give it a name."
    QTest.keyClicks(new.name.edit, "Front desk")
    click(new.go)
    assert new.name.fault == "There is a line of that name already."
    new.name.edit.setText("Reception")
    new.place.setCurrentIndex(new.place.findData("account:RunPod"))
    QTest.keyClicks(new.price.edit, "0.70")
    QTest.keyClicks(new.port.edit, "80")
    click(new.go)
    assert new.port.fault
    new.port.edit.setText("")
    click(new.go)
    ((what, wish, port),) = asked(page)
    assert (what, wish.line, wish.rest, wish.max_price, port) == (
        "create", "Reception", Rest.ASLEEP, 0.7, None,
    )  # fmt: skip
    assert wish.places == (PLACES[3],)


def test_a_wish_is_changed_and_nothing_counts_before_apply(page: LinesPage) -> None:
    form = page.form
    assert not form.apply.isEnabled()
    click(named(form, "studio earlier"))
    form.other.setCurrentIndex(form.other.findData(LOCAL))
    click(form.add_place)
    click(named(form, "Remove Rented with Lambda"))
    form.persona.setPlainText("You are Eva.")
    form.max_price.setText("nonsense")
    assert not form.apply.isEnabled()
    form.max_price.setText("0.50")
    form.hours.mode.setCurrentIndex(1)
    form.hours.rows[1].remove.click()
    form.hours.rows[0].days[4].click()
    form.hours.rows[0].end.setTime(QTime(17, 15))
    form.wakes.click()
    assert asked(page) == []
    click(form.apply)
    ((what, wish),) = asked(page)
    assert what == "change"
    assert [place.key for place in wish.places] == ["host:studio", LOCAL]
    assert (wish.max_price, wish.wake_on_connect, wish.persona) == (0.5, False, "You are Eva.")
    assert written(wish.hours) == "mon-thu 08:30-17:15"
    click(form.discard)
    assert not form.is_changed
    for box in form.hours.rows[0].days:
        if box.isChecked():
            box.click()
    assert "at least one day" in said(form)
    assert not form.apply.isEnabled()


def test_what_a_spare_costs_is_told_before_it_is_applied(page: LinesPage, qtbot: Any) -> None:
    form = page.form
    assert not form.spare_place.isVisible()
    click(form.spare)
    assert "Asking what it costs" in said(form)
    qtbot.waitUntil(lambda: bool(asked(page)), timeout=20_000)
    ((what, wish),) = asked(page)
    assert (what, wish.spare) == ("ask_spare", ANY_SPARE)
    page._model.quoted.emit(replace(wish, spare=""), "another wish's answer")
    assert "another" not in said(form)
    quoted = Quote(wish.places[0], 0.44, 0.9)
    page._model.quoted.emit(wish, words.quote(quoted))
    assert "Rented with Lambda: about $0.44 an hour more while the line is up." in said(form)
    assert words.quote(Quote(wish.places[1], 0.0, 0.0)) == "studio: this costs no rent."
    assert "up to $0.90" in words.quote(replace(quoted, price=None))
    assert "No price limit" in words.quote(Quote(wish.places[0]))
    assert "no other place" in words.quote(Quote())
    form.spare_place.setCurrentIndex(form.spare_place.findData("host:studio"))
    click(form.apply)
    assert asked(page)[-1][1].spare == "host:studio"
    form.guarded.click()
    assert not form.spare.isEnabled(), "nobody would lead an unguarded line to it"
    assert not form.spare_place.isVisible()


def test_a_spare_is_told_with_the_line(page: LinesPage) -> None:
    page.choose("Support demo")
    assert "Rented with RunPod" in said(page)
    stands = Standing("pd-4", "account:RunPod", making=True, answers=False)
    assert words.spare(stands) == "Rented with RunPod, is being made"
    assert words.spare(replace(stands, making=False)) == "Rented with RunPod, does not answer"
    assert words.spare(None) == "none now"


def test_all_zones_are_listed_when_somebody_looks(page: LinesPage) -> None:
    zone = page.form.hours.zone
    assert zone.currentText() == "Europe/Amsterdam"
    zone.showPopup()
    zone.hidePopup()
    assert zone.currentText() == "Europe/Amsterdam"
    assert zone.findText("America/New_York") > 0
    assert not page.form.is_changed
    zone.setCurrentText("America/New_York")
    assert page.form.apply.isEnabled()


def test_a_line_is_opened_to_other_computers(page: LinesPage) -> None:
    page.choose("Museum guide")
    click(page.open_outside)
    opening = dialog(page, OutsideDialog)
    opening.bind.edit.setText("everywhere")
    click(opening.go)
    assert "is no IP address" in said(opening)
    opening.bind.edit.setText("192.168.1.20")
    opening.tls.setCurrentIndex(opening.tls.findData(Tls.OFF))
    opening.origins.edit.setText("https://a.example https://b.example")
    click(opening.go)
    access = Access(
        "192.168.1.20", 10001, Tls.OFF, origins=("https://a.example", "https://b.example")
    )
    assert asked(page) == [("open_outside", "Museum guide", access)]


# -- the model, with real services -----------------------------------------------------------------------------


class FakeStarter:
    """A system that starts lines as it is told."""

    def __init__(self) -> None:
        self.installed = False

    async def status(self) -> Autostart:
        return Autostart("systemd", self.installed)

    async def install(self) -> Autostart:
        self.installed = True
        return await self.status()

    async def uninstall(self) -> Autostart:
        self.installed = False
        return await self.status()


@pytest.fixture
def open_window(opener: Any) -> Any:
    """Opens the services of a window; no deploys are made here."""
    return opener(make_steps=lambda places: (), kind="window")


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def test_the_model_makes_changes_moves_and_tells_lines(
    open_window: Any, qapp: QApplication
) -> None:
    del qapp
    services = await open_window()
    begun: list[Any] = []

    async def ready() -> Any:
        return services

    async def begin(plan: Any) -> None:
        begun.append(plan)

    refused: list[Any] = []
    starter = FakeStarter()
    model = LinesModel(ready, begin, starter=lambda _: starter)  # type: ignore[arg-type,return-value]
    model.refused.connect(refused.append)
    try:
        wish = Wish("a", ModelChoice(), rest=Rest.ASLEEP)
        model.create(wish, local.pick_port())
        await _until(lambda: model.get("a"))
        facts = model.get("a")
        assert facts is not None
        assert (facts.line.state, facts.wish) == (LineState.STOPPED, wish)
        await services.wishes.begin(Entry("a", time.time(), Deed.WAIT, "", T("The voice answers.")))
        model.look()
        await _until(lambda: (model.get("a") or facts).decisions)
        model.change(Wish("a", ModelChoice(), (Place("host:nobody"),), rest=Rest.ASLEEP))
        await _until(lambda: refused)
        assert refused.pop().type_name == "NotFound"
        model.wake("a")
        await _until(lambda: begun)
        assert (begun.pop().place, facts.line.port) == (LOCAL, facts.line.port)
        model.move("a", Place(LOCAL))
        await _until(lambda: begun)
        assert begun[0].port == facts.line.port
        model.start_with_computer(True)
        await _until(lambda: model.autostart is not None and model.autostart.installed)
        assert not refused
    finally:
        model.watch(False)
        await drain()


def test_a_port_is_changed_after_it_is_said_who_must_follow_and_which_calls_end(
    page: LinesPage,
) -> None:
    click(page.change_port)
    asks = dialog(page, PortDialog)
    assert "programs that call ws://127.0.0.1:8998/api/chat must follow" in said(asks)
    assert "2 calls are cut off." in said(asks)
    for typed in ("80", "x", ""):
        asks.port.edit.setText(typed)
        click(asks.go)
        assert "A port is a number from 1024 to 65535." in said(asks)
    asks.port.edit.setText("9123")
    assert "ws://127.0.0.1:9123/api/chat" in said(asks)
    click(asks.go)
    assert asked(page) == [("set_port", "Front desk", 9123)]
