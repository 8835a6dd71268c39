"""A line whose voice is on a rented machine: its card, and what stopping and removing it say first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QWidget

import rented_samples as rented
from personadesk.deploy.rented.views import AccountView, FleetView
from personadesk.domain.account import Account
from personadesk.domain.errors import Unreachable
from personadesk.domain.line import Line, LineState
from personadesk.domain.machine import Resource, ResourceKind
from personadesk.domain.progress import DeployState, StepName, StepState
from personadesk.domain.text import T
from personadesk.store.journal import DeployRecord, Purpose, StepRecord
from personadesk.ui.deploy import flow
from personadesk.ui.dialogs import Question
from personadesk.ui.home import HomePage, LineVerb
from personadesk.ui.i18n import language
from personadesk.ui.places import DEPLOY
from personadesk.ui.session import WindowSession
from personadesk.ui.shell import StatusLine

Wait = Callable[..., Awaitable[None]]


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


@pytest.mark.parametrize(
    ("provider", "stopping"),
    [
        ("lambda", "sets it up: 2 min the last time."),
        ("runpod", "The machine at RunPod is stopped with it. A stopped pod's disk costs"),
    ],
)
def test_a_line_on_a_rented_machine_tells_what_it_costs_and_what_stopping_means(
    provider: str,
    stopping: str,
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    rental = replace(samples.RENTAL, provider=provider)
    fake_services.rentals.kept = [rental]
    fake_services.lines.show(samples.rent_line())
    steps = {
        name: StepRecord(name, StepState.DONE, seconds=61.0)
        for name in (StepName.RENT, StepName.BOOT)
    }
    fake_services.journal.records = [
        DeployRecord(
            samples.RENT_PLAN, Purpose.DEPLOY, DeployState.FAILED, samples.STARTED,
            steps={StepName.RENT: StepRecord(StepName.RENT, StepState.DONE, seconds=9000.0)},
        ),
        DeployRecord(samples.RENT_PLAN, Purpose.DEPLOY, DeployState.DONE, samples.STARTED, steps=steps),
    ]  # fmt: skip

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: "A10 · Arizona" in said(session.window))
        home = session.window.current_page
        assert isinstance(home, HomePage)
        assert "$0.75 /h" in said(home.card(samples.RENT_PLAN.line))
        assert "1 machine is rented" in said(home)
        session.desk.line_asked(samples.RENT_PLAN.line, LineVerb.REMOVE)
        (question,) = session.window.findChildren(Question)
        assert "is ended, and costs nothing more" in said(question)
        clicker.press(question, "Cancel")
        await wait_for(lambda: not session.window.findChildren(Question))
        session.desk.line_asked(samples.RENT_PLAN.line, LineVerb.STOP)
        (question,) = session.window.findChildren(Question)
        assert stopping in said(question)
        clicker.click(question.button("stop"))
        await wait_for(lambda: fake_services.limits.slept == [samples.RENT_PLAN.line])
        assert fake_services.lines.deeds == []
        session._ask_sleep(samples.RENT_PLAN.line)
        (question,) = session.window.findChildren(Question)
        assert stopping in said(question), "sleep says what it ends, too"
        clicker.press(question, "Cancel")

    live_window(story)


def test_the_foot_of_the_side_bar_follows_the_money_and_never_takes_silence_for_nothing(
    live_window: Callable[..., None], fake_services: Any, wait_for: Wait
) -> None:
    market = rented.VIEW.accounts["Market"]

    async def story(session: WindowSession) -> None:
        def foot() -> list[str]:
            return [
                line._text.text()
                for line in session.window.centralWidget().findChildren(StatusLine)
            ]

        calm = ["Nothing costs money", "$0.00 /h"]
        assert foot() == calm
        await wait_for(lambda: bool(fake_services.fleet.watchers))
        fake_services.fleet.show(FleetView({"Market": market}))
        price = f"${market.machines[0].price:.2f}"
        await wait_for(lambda: foot() == ["Online · 1 account OK", f"{price} /h · $0.00 today"])
        language().choose("nl")
        assert foot()[0] == "Online · 1 account OK"
        assert foot()[1].endswith("vandaag")
        language().choose("en")
        disk = Resource(ResourceKind.VOLUME, "fs-1", "Market", price=0.01)
        left = replace(market, machines=(), leftovers=(disk,))
        fake_services.fleet.show(FleetView({"Market": left}))
        await wait_for(lambda: foot()[1] == "$0.01 /h · $0.00 today")
        fake_services.fleet.show(FleetView({"Market": replace(left, leftovers=())}))
        await wait_for(lambda: foot() == calm)
        silent = Unreachable(T("{provider} didn't answer.", provider="Vast.ai"), T("Try again."))
        fake_services.fleet.show(FleetView({"Market": AccountView("Market", error=silent)}))
        await wait_for(lambda: foot()[0] == "1 account does not answer")

    live_window(story)


def test_a_line_whose_machine_has_ended_asks_for_another_voice_at_the_same_address(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    rental = samples.RENTAL
    fake_services.accounts.known["Lambda"] = Account("Lambda", rental.provider, {})
    fake_services.lines.show(Line("Reception", 9007, state=LineState.STOPPED))

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: "No voice behind it" in said(session.window))
        clicker.press(session.window, "Give it a voice…")
        await wait_for(lambda: session.window.current_id == DEPLOY)
        draft = session.desk.jobs.draft
        assert (draft.line, draft.port, draft.where) == ("Reception", "9007", flow.Where.RENT)
        assert fake_services.lines.deeds == []

    live_window(story)
