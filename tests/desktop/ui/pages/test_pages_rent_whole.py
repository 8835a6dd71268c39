"""From the first start to a voice on a rented GPU, with real clicks, a pasted key and stand-ins for the services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget

from personadesk.domain.account import KEYRING, Account, AccountInfo, Right
from personadesk.domain.errors import AuthFailed, NoCapacity, Unreachable
from personadesk.domain.offer import Stock
from personadesk.domain.plan import RENT, ModelKind
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import Experience, Kind, offer_name
from personadesk.domain.text import T
from personadesk.store.rentals import RentalState
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.account_page import AccountPage
from personadesk.ui.deploy.gpu_page import GpuPage
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.dialogs import Question
from personadesk.ui.home import HomePage
from personadesk.ui.messages import bus
from personadesk.ui.moments import time_of_day
from personadesk.ui.places import DEPLOY, TALK
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]
KEY = "secret_lambda_0123456789abcdef"


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def deploy_page(session: WindowSession) -> DeployPage:
    page = session.window.current_page
    assert isinstance(page, DeployPage)
    return page


def wizard_page(session: WindowSession, name: flow.Page) -> Any:
    wizard = deploy_page(session).wizard
    assert wizard is not None
    assert wizard.page is name
    return wizard.page_view(name)


def at_lambda(samples: ModuleType) -> list[Any]:
    return [offer for offer in samples.OFFERS if offer.account == "Lambda"]


def connect(services: Any, samples: ModuleType, *names: str) -> None:
    """Have accounts with their offers already."""
    for offer in samples.OFFERS:
        if offer.account in names:
            services.accounts.known[offer.account] = Account(
                offer.account, offer.provider, {"api_key": KEYRING}
            )
            services.accounts.offers.setdefault(offer.account, []).append(offer)
    services.accounts.answer = AccountInfo("me@example.com", frozenset(Right))
    services.token_source = T("the variable {name}", name="HF_TOKEN")


async def open_gpu(session: WindowSession, wait_for: Wait) -> GpuPage:
    await wait_for(lambda: session.desk.rented.loaded)
    session.desk.ways.rent_gpu()
    await wait_for(lambda: session.window.current_id == DEPLOY)
    page = wizard_page(session, flow.Page.GPU)
    assert isinstance(page, GpuPage)
    await wait_for(
        lambda: session.desk.rented.offers.asked and not session.desk.rented.offers.asking
    )
    return page


def test_first_start_to_a_voice_on_a_rented_gpu_is_six_clicks_and_one_pasted_key(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.accounts.offers["Lambda"] = at_lambda(samples)
    fake_services.accounts.answer = AccountInfo("me@example.com", frozenset(Right))
    fake_services.token_source = T("the variable {name}", name="HF_TOKEN")

    async def story(session: WindowSession) -> None:
        home = session.window.current_page
        assert isinstance(home, HomePage)
        clicker.click(home.first_start.rent_card.button)
        await wait_for(lambda: session.window.current_id == DEPLOY)
        accounts = wizard_page(session, flow.Page.ACCOUNT)
        assert isinstance(accounts, AccountPage)
        clicker.click(accounts.card("lambda"))
        edit = accounts.form.fields["api_key"].edit
        assert edit.echoMode() is QLineEdit.EchoMode.Password
        edit.setFocus()
        QGuiApplication.clipboard().setText(KEY)
        QTest.keyClick(edit, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        await wait_for(lambda: "Connected. Can see, rent and end machines." in said(accounts))
        assert [given.values for given in fake_services.accounts.given] == [{"api_key": KEY}]
        clicker.press(session.window, "Continue")
        rented = session.desk.rented
        await wait_for(lambda: rented.offers.asked and not rented.offers.asking)
        clicker.press(session.window, "Continue")
        page = deploy_page(session)
        assert "Nothing costs money yet" in said(page)
        assert fake_services.deploys.begun == []
        start = next(
            b for b in page.findChildren(QPushButton) if b.text() == "Rent and start · $0.75 /h"
        )
        await wait_for(lambda: "Found in the variable HF_TOKEN" in said(page))
        clicker.click(start)
        await wait_for(lambda: fake_services.deploys.begun)
        (plan,) = fake_services.deploys.begun
        assert (plan.place, plan.model.kind) == (RENT, ModelKind.PERSONAPLEX_7B)
        best, second = at_lambda(samples)[0], at_lambda(samples)[1]
        assert plan.rent.offers == (best.key, second.key)
        assert (plan.rent.max_price, plan.rent.idle_stop_minutes, plan.rent.spend_limit) == (
            2,
            20,
            10,
        )
        assert KEY not in repr(session.desk.jobs.draft)
        done = replace(samples.finished_deploy(plan=samples.RENT_PLAN), plan=plan)
        fake_services.deploys.deployments[0].move(done)
        await wait_for(
            lambda: any(
                b.text() == "Talk now" and b.isVisible() for b in page.findChildren(QPushButton)
            )
        )
        clicker.press(page, "Talk now")
        await wait_for(lambda: session.window.current_id == TALK)
        assert clicker.clicks == 6

    live_window(story)


def test_a_refused_key_is_told_by_what_is_wrong_and_the_next_paste_is_tried(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    fake_services.accounts.refusals = [
        AuthFailed(T("Lambda didn't accept the key."), T("Paste another key."), cause="wrong_key")
    ]

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: session.desk.rented.loaded)
        session.desk.ways.rent_gpu()
        await wait_for(lambda: session.window.current_id == DEPLOY)
        accounts = wizard_page(session, flow.Page.ACCOUNT)
        clicker.click(accounts.card("lambda"))
        clicker.press(session.window, "Continue")
        assert "Connect an account first" in said(accounts)
        QGuiApplication.clipboard().setText(KEY)
        clicker.press(accounts, "Paste")
        await wait_for(lambda: "Lambda didn't accept the key." in said(accounts))
        QGuiApplication.clipboard().setText(KEY + "x")
        clicker.press(accounts, "Paste")
        await wait_for(lambda: "Connected." in said(accounts))
        assert "Lambda didn't accept the key." not in said(accounts)

    live_window(story)


def test_a_key_that_was_typed_is_tried_by_continue_which_then_goes_on_by_itself(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        await wait_for(lambda: session.desk.rented.loaded)
        session.desk.ways.rent_gpu()
        await wait_for(lambda: session.window.current_id == DEPLOY)
        accounts = wizard_page(session, flow.Page.ACCOUNT)
        clicker.click(accounts.card("lambda"))
        edit = accounts.form.fields["api_key"].edit
        edit.setFocus()
        QTest.keyClicks(edit, "short")
        clicker.press(session.window, "Continue")
        assert "does not look like one of Lambda" in said(accounts)
        assert fake_services.accounts.given == []
        edit.clear()
        QTest.keyClicks(edit, "@LAMBDA_KEY")
        clicker.press(session.window, "Continue")
        await wait_for(lambda: session.desk.jobs.page is flow.Page.GPU)
        assert fake_services.accounts.given[0].values == {"api_key": "@LAMBDA_KEY"}

    live_window(story)


def test_offers_of_all_accounts_are_ranked_and_a_silent_account_is_told_at_the_foot(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda", "Vast.ai", "RunPod")
    fake_services.accounts.offer_errors["RunPod"] = Unreachable(
        T("RunPod didn't answer."), T("Try again.")
    )

    async def story(session: WindowSession) -> None:
        page = await open_gpu(session, wait_for)
        await wait_for(lambda: "RunPod: RunPod didn't answer." in said(page))
        rows = page.table_model.offers()
        assert rows[0].provider == "vast"
        assert rows[-1].stock is Stock.NONE
        assert session.desk.jobs.draft.rent.choice == rows[0]
        assert "It is the cheapest." in said(page)
        # Another one is chosen; asking again keeps it, by its key, even when its price changed.
        place = page.table_model.position(samples.OFFERS[0].key)
        page.table.setCurrentIndex(page.table_model.index(place, 0))
        assert session.desk.jobs.draft.rent.choice.gpu == "A10"
        dearer = replace(samples.OFFERS[0], price=0.79)
        fake_services.accounts.offers["Lambda"][0] = dearer
        clicker.press(page, "Ask again")
        await wait_for(lambda: session.desk.jobs.draft.rent.choice == dearer)
        assert page.table_model.at(page.table.currentIndex()) == dearer
        assert session.desk.jobs.draft.rent.offers[0] == dearer.key

    live_window(story)


def test_a_price_limit_that_nothing_meets_names_the_nearest_and_raises_to_it(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda")

    async def story(session: WindowSession) -> None:
        page = await open_gpu(session, wait_for)
        page._price.setCurrentIndex(0)
        page._price.activated.emit(0)
        assert "The nearest: A10 at Lambda, $0.75 /h" in said(page)
        clicker.press(session.window, "Continue")
        assert "Choose a GPU." in said(page)
        clicker.press(page, "Raise to $0.75")
        assert [offer.gpu for offer in page.table_model.offers()] == ["A10"]
        clicker.press(session.window, "Continue")
        assert session.desk.jobs.page is flow.Page.CHECK

    live_window(story)


def test_above_five_dollars_an_hour_is_asked_about_once_more(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda")
    fake_services.accounts.offers["Lambda"] = [replace(samples.OFFERS[7], price=6.5)]

    async def story(session: WindowSession) -> None:
        page = await open_gpu(session, wait_for)
        index = page._price.count() - 1
        page._price.setCurrentIndex(index)
        page._price.activated.emit(index)
        clicker.press(session.window, "Continue")
        await wait_for(lambda: "Found in" in said(deploy_page(session)))
        clicker.press(deploy_page(session), "Rent and start · $6.50 /h")
        (question,) = session.window.findChildren(Question)
        assert "$6.50 an hour" in said(question)
        assert "$156.00 a day" in said(question)
        assert fake_services.deploys.begun == []
        clicker.click(question.button("rent"))
        await wait_for(lambda: fake_services.deploys.begun)

    live_window(story)


def test_the_model_and_the_line_are_changed_by_their_links_and_the_limits_in_place(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda")

    async def story(session: WindowSession) -> None:
        await open_gpu(session, wait_for)
        clicker.press(session.window, "Continue")
        wizard = deploy_page(session).wizard
        assert wizard is not None
        links = {b.accessibleName(): b for b in wizard.findChildren(QPushButton) if b.isVisible()}
        clicker.click(links["Change: Line"])
        assert wizard.page is flow.Page.LINE
        wizard.field(flow.Field.LINE).edit.selectAll()
        QTest.keyClicks(wizard.field(flow.Field.LINE).edit, "Reception")
        clicker.press(wizard, "Continue")
        assert wizard.page is flow.Page.CHECK
        price = wizard.field(flow.Field.PRICE).edit
        price.selectAll()
        QTest.keyClicks(price, "0.5")
        clicker.press(wizard, "Rent and start · $0.75 /h")
        assert wizard.page is flow.Page.CHECK
        assert "costs $0.75 an hour. Raise the limit" in said(wizard)
        price.selectAll()
        QTest.keyClicks(price, "1,5")
        await wait_for(lambda: "Found in" in said(wizard))
        clicker.press(wizard, "Rent and start · $0.75 /h")
        await wait_for(lambda: fake_services.deploys.begun)
        plan = fake_services.deploys.begun[0]
        assert (plan.line, plan.rent.max_price) == ("Reception", 1.5)

    live_window(story)


def test_in_a_rehearsal_the_small_model_is_the_usual_one(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    wait_for: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(fake_services, samples, "Lambda")

    async def story(session: WindowSession) -> None:
        monkeypatch.setenv("PERSONADESK_REHEARSAL", "1")
        await open_gpu(session, wait_for)
        assert session.desk.jobs.draft.model is ModelKind.REHEARSAL

    live_window(story)


async def running(
    session: WindowSession, services: Any, samples: ModuleType, wait_for: Wait
) -> Any:
    """Begin the sample deploy, and have its machine in the record."""
    services.rentals.kept = [samples.RENTAL]
    await session.desk.jobs.begin(samples.RENT_PLAN)
    session.window.open_page(DEPLOY)
    await wait_for(lambda: "Lambda · A10 · Arizona" in said(session.window))
    return services.deploys.deployments[0]


@pytest.mark.parametrize(("key", "held"), [("end", []), ("keep", ["pd-93ce1f70"])])
def test_stopping_a_rented_deploy_asks_what_becomes_of_the_machine(
    key: str,
    held: list[Any],
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        deployment = await running(session, fake_services, samples, wait_for)
        clicker.press(session.window, "Stop and end the machine…")
        (question,) = session.window.findChildren(Question)
        assert "End the machine: costs nothing more." in said(question)
        assert "Keep it 30 minutes: $0.38, then it is ended." in said(question)
        clicker.click(question.button(key))
        await wait_for(lambda: deployment.cancelled)
        assert fake_services.rentals.held == held

    live_window(story)


def test_going_on_stops_nothing(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        deployment = await running(session, fake_services, samples, wait_for)
        clicker.press(session.window, "Stop and end the machine…")
        (question,) = session.window.findChildren(Question)
        clicker.press(question, "Go on")
        assert not deployment.cancelled

    live_window(story)


@pytest.mark.logs_warnings
def test_a_failed_one_begins_again_with_the_next_offer_and_says_when_there_is_none(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda")

    async def story(session: WindowSession) -> None:
        deployment = await running(session, fake_services, samples, wait_for)
        error = NoCapacity(T("It did not come up."), T("Take the next offer."))
        gone = replace(samples.RENTAL, state=RentalState.ENDED)
        fake_services.rentals.kept = [gone]
        view = replace(deployment.view, state=DeployState.FAILED, error=error)
        deployment.move(view)
        await wait_for(lambda: "It did not come up." in said(session.window))
        clicker.press(session.window, "Take the next offer")
        await wait_for(lambda: len(fake_services.deploys.begun) == 2)
        plan = fake_services.deploys.begun[1]
        assert plan.id != samples.RENT_PLAN.id
        assert plan.rent.offers == (samples.OFFERS[3].key,)
        assert not plan.rent.next_best
        fake_services.rentals.kept = [
            replace(gone, tag=plan.id, offer=offer) for offer in samples.OFFERS
        ]
        fake_services.deploys.deployments[1].move(replace(view, plan=plan))
        await wait_for(lambda: "It did not come up." in said(session.window))
        clicker.press(session.window, "Take the next offer")
        await wait_for(lambda: bus().messages)
        assert str(bus().messages[0].what) == "There is no other offer within your limits."

    live_window(story)


@pytest.mark.logs_warnings
def test_a_failed_one_that_is_kept_for_a_look_says_until_when_and_can_be_ended_now(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        deployment = await running(session, fake_services, samples, wait_for)
        until = samples.STARTED + 1800.0
        fake_services.rentals.kept = [replace(samples.RENTAL, hold_until=until)]
        error = NoCapacity(T("It did not come up."), T("Look at it."))
        deployment.move(replace(deployment.view, state=DeployState.FAILED, error=error))
        kept = f"The machine is kept for a look until {time_of_day(until)}, costs $0.75 /h, and is ended then."
        await wait_for(lambda: kept in said(session.window))
        # Another one beside it would be a second bill.
        assert "Take the next offer" not in said(session.window)
        clicker.press(session.window, "End it now")
        await wait_for(lambda: fake_services.deploys.undone == [samples.RENT_PLAN.id])

    live_window(story)


@pytest.mark.logs_warnings
def test_after_a_crash_the_banner_tells_what_the_machine_costs(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    fake_services.rentals.kept = [samples.RENTAL]
    left = replace(samples.deploy(3, samples.RENT_PLAN), state=DeployState.INTERRUPTED)
    fake_services.deploys.left_over = [left]

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: bus().messages)
        message = bus().messages[0]
        assert str(message.next) == "The machine is there and costs $0.75 /h."
        assert [str(action.title) for action in message.actions] == ["Go on", "End the machine"]
        message.actions[1].run()
        await wait_for(lambda: fake_services.deploys.undone == [samples.RENT_PLAN.id])

    live_window(story)


def test_an_offer_that_did_badly_says_why_comes_last_can_be_chosen_and_is_forgotten(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    connect(fake_services, samples, "Lambda", "Vast.ai")
    offers = fake_services.accounts.offers
    offers["Vast.ai"] = [replace(each, host="h-1") for each in offers["Vast.ai"]]
    memory = fake_services.rentals.memory
    (bad,) = offers["Vast.ai"]
    memory.lived = [
        Experience(
            "pd-1/1",
            Kind.GPU_LOST,
            "vast",
            offer_name(bad),
            bad.region,
            bad.host,
            bad.gpu,
            at=100.0,
        )
    ]
    memory.now = 160.0

    async def story(session: WindowSession) -> None:
        page = await open_gpu(session, wait_for)
        model = page.table_model
        free = [each for each in model.offers() if each.stock is not Stock.NONE]
        assert free[-1].key == bad.key
        row = model.position(bad.key)
        told = model.index(row, 3).data(Qt.ItemDataRole.AccessibleTextRole)
        assert told.startswith("Left alone, until ")
        assert "a machine lost its GPU" in model.index(row, 3).data(Qt.ItemDataRole.ToolTipRole)
        assert "It did badly before" not in said(page)
        draft = session.desk.jobs.draft
        assert draft is not None
        assert draft.rent.choice is not None
        assert (draft.rent.choice.key == bad.key, draft.rent.insist) == (False, False)

        page.table.setCurrentIndex(model.index(row, 0))
        assert "It did badly before" in said(page)
        assert "Left alone until " in said(page)
        draft = session.desk.jobs.draft
        assert draft is not None
        plan = flow.plan_of(draft)
        assert plan.rent is not None
        assert (plan.rent.offers[0], plan.rent.insist) == (bad.key, True)

        clicker.press(page, "Forget it")
        await wait_for(lambda: "vast/host/h-1" in memory.forgotten)
        await wait_for(lambda: "It did badly before" not in said(page))
        await wait_for(lambda: not session.desk.rented.offers.asking)
        row = model.position(bad.key)
        assert not model.index(row, 3).data(Qt.ItemDataRole.AccessibleTextRole).startswith("Left")

    live_window(story)
