"""The money page by real clicks: sums, budgets that say what they stop, what is left, elsewhere, and the CSV."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton

import money_samples
from money_scenes import money_page
from personadesk.domain.budget import ALL, Act, Budget, Level
from personadesk.domain.line import Line
from personadesk.domain.money import Amount, Kind, Span
from personadesk.ui.i18n import language
from personadesk.ui.messages import bus
from personadesk.ui.places import HOME, MONEY
from personadesk.ui.spending import words
from personadesk.ui.spending.chart import DayBars
from personadesk.ui.spending.page import MoneyPage

LEFT = Qt.MouseButton.LeftButton


def texts(page: MoneyPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def press(page, text: str, *, named: str = "") -> None:
    button = next(
        b for b in page.findChildren(QPushButton)
        if b.text() == text and b.isVisible() and named in b.accessibleName()
    )  # fmt: skip
    QTest.mouseClick(button, LEFT)


def opened(session) -> MoneyPage:
    session.window.open_page(MONEY)
    page = session.window.current_page
    assert isinstance(page, MoneyPage)
    return page


def test_the_page_shows_the_sums_and_their_parts(qtbot):
    page = money_page(money_samples.busy())
    qtbot.addWidget(page)
    page.resize(1200, 1400)
    page.show()
    told = texts(page)
    assert "≈ $1.50 /h" in told
    assert "1 price not told" in told
    assert "Forecast: If the days to come are as the last 7" in told
    assert "Spare: the provider confirms that nothing of ours is running." in told
    assert "Studio: not confirmed." in told
    rows = page.shares.rows
    assert [row[0].text for row in rows] == [
        "no line", "Front desk", "Museum guide", "Support demo", "Everything together",
    ]  # fmt: skip
    for index, head in enumerate(("By account", "By kind", "Each thing"), 1):
        press(page, head)
        assert page.by.current == index
    assert {row[1].text for row in page.shares.rows} == {
        "Running", "Stopped or kept, and billed", "Forgotten",
    }  # fmt: skip
    assert page.bars.accessibleName().startswith("Cost per day: today ≈ $8.67")


def test_an_amount_names_what_is_not_told_in_both_languages():
    assert words.amount(Amount(1.2, guessed=True)) == "≈ $1.20"
    assert words.amount(Amount(untold=7200)) == "2 h, price not told"
    assert words.amount(Amount(1.2, untold=7200)) == "$1.20 and 2 h, price not told"
    assert words.fine_price(0.01) == "$0.010"
    assert (words.signed(-0.5), words.signed(0.5), words.signed(0.001)) == (
        "−$0.50",
        "+$0.50",
        "the same",
    )
    language().choose("nl")
    assert words.amount(Amount(1.2, guessed=True)) == "≈ $ 1,20"
    assert words.fine_price(0.01) == "$ 0,010"


def test_bars_tell_a_day_by_its_tooltip_and_survive_an_empty_month(qtbot):
    bars = DayBars()
    qtbot.addWidget(bars)
    bars.resize(300, 150)
    bars.show()
    assert bars.accessibleName() == "Cost per day: nothing yet"
    bars.show_days({date(2026, 11, 1): Amount(2.0), date(2026, 11, 2): Amount(1.0, guessed=True)})
    bars.repaint()
    assert "today ≈ $1.00, at most $2.00 on 1 Nov" in bars.accessibleName()
    image = bars.grab().toImage()
    assert image.pixelColor(60, 100) != image.pixelColor(60, 5)


def test_a_budget_is_set_by_clicks_and_says_first_what_it_would_stop(
    live_window, fake_services, wait_for
):
    fake_services.lines.show(Line("Front desk", 9001))
    fake_services.money.sums = money_samples.busy

    async def story(session):
        page = opened(session)
        await wait_for(lambda: page._purse.found is not None)
        card = page.budgets
        assert "No budget yet" in texts(page)
        press(page, "Set a budget…")
        assert card.form.isVisible()
        assert [card.line.itemText(n) for n in range(card.line.count())] == [
            "Everything together", "Front desk",
        ]  # fmt: skip
        await wait_for(lambda: "All would stop by stop." in texts(page))
        QTest.keyClicks(card.per_day.edit, "nonsense")
        press(page, "Keep this budget")
        assert card.per_day.fault == "A number above 0 is needed."
        card.per_day.edit.clear()
        press(page, "Keep this budget")
        assert card.per_day.fault == "Give a limit for the day or the month."
        QTest.keyClicks(card.per_day.edit, "12.5")
        card.act.setCurrentIndex(card.act.findData(Act.END))
        card.act.activated.emit(card.act.currentIndex())
        await wait_for(lambda: "All would stop by end." in texts(page))
        assert fake_services.money.budgets.kept == {}
        QTest.keyClick(card.save, Qt.Key.Key_Space)
        await wait_for(lambda: ALL in fake_services.money.budgets.kept)
        assert fake_services.money.budgets.kept[ALL] == Budget(ALL, per_day=12.5, act=Act.END)
        assert not card.form.isVisible()
        await wait_for(lambda: "$12.50 today" in texts(page))
        press(page, "Change…")
        assert (card.per_day.edit.text(), card.warn.edit.text()) == ("12.50", "80")
        press(page, "Take it away")
        await wait_for(lambda: "No budget yet" in texts(page))

    live_window(story)


@pytest.mark.logs_warnings
@pytest.mark.parametrize(("limit", "level"), [(180.0, Level.NEAR), (100.0, Level.REACHED)])
def test_a_budget_that_is_near_or_used_up_is_told_once_and_can_be_lifted(
    live_window, fake_services, wait_for, limit, level
):
    fake_services.money.budgets.kept[ALL] = Budget(ALL, per_month=limit)
    fake_services.money.sums = money_samples.busy

    async def story(session):
        page = opened(session)
        await wait_for(lambda: any("budget" in str(m.what) for m in bus().messages))
        [message] = [m for m in bus().messages if "budget" in str(m.what)]
        expected = "86 % of the budget" if level is Level.NEAR else "is used up"
        assert expected in str(message.what)
        assert page._purse.found.budgets[0].level is level
        message.actions[0].run()
        await wait_for(lambda: fake_services.money.lifts == [(ALL, round(limit / 2))])
        bus().dismiss(message)
        page._purse.look()
        press(page, f"Allow ${limit / 2:.2f} more")
        await wait_for(lambda: len(fake_services.money.lifts) == 2)
        assert not any("budget" in str(m.what) for m in bus().messages), "it is told once"

    live_window(story)


def test_the_providers_are_asked_what_is_left_and_all_accounts_what_it_costs_there(
    live_window, fake_services, wait_for
):
    fake_services.lines.show(Line("Front desk", 9001))
    fake_services.money.sums = money_samples.busy

    async def story(session):
        page = opened(session)
        await wait_for(lambda: page._purse.found is not None)
        press(page, "Ask the providers now")
        await wait_for(lambda: fake_services.money.proved == 1 and page.check.isEnabled())
        page.line.setCurrentIndex(1)
        press(page, "Ask for offers")
        await wait_for(lambda: page.places.rowCount() == 5)
        assert fake_services.money.asked == ["Front desk"]
        first = [cell.text for cell in page.places.rows[0]]
        assert first[:5] == ["Vast.ai", "RTX 4090", "$0.38 /h", "−$0.37", "−$270.10"]
        assert page.places.rows[1][5].text == "table of 2026-09-20"
        assert "Now it costs $0.75 /h" in texts(page)

    live_window(story)


@pytest.mark.logs_warnings
def test_costs_are_saved_as_csv_and_what_fails_is_said(
    live_window, fake_services, wait_for, tmp_path
):
    at = 1_795_000_000.0
    fake_services.money.spent = [
        Span("acc", "m-1", "pd-1", "Front desk", Kind.RUNNING, at, at + 3600, 0.5)
    ]

    async def story(session):
        page = opened(session)
        page._purse.clock = lambda: at + 7200
        page.export_to(tmp_path / "costs.csv")
        await wait_for(lambda: (tmp_path / "costs.csv").exists())
        text = (tmp_path / "costs.csv").read_bytes().decode()
        [*rows] = csv.DictReader(io.StringIO(text, newline=""))
        assert sum(float(row["dollars"]) for row in rows) == pytest.approx(0.5)
        await wait_for(lambda: any("saved as" in str(m.what) for m in bus().messages))
        page.export_to(tmp_path)
        await wait_for(lambda: any("could not be written" in str(m.what) for m in bus().messages))

    live_window(story)


def test_home_leads_to_money(live_window, fake_services, wait_for):
    fake_services.lines.show(Line("Front desk", 9001))

    async def story(session):
        session.window.open_page(HOME)
        home = session.window.current_page
        await wait_for(lambda: home.money.isVisible())
        QTest.mouseClick(home.money, LEFT)
        assert isinstance(session.window.current_page, MoneyPage)

    live_window(story)
