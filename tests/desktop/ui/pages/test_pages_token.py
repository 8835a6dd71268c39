"""The wizard asks for a Hugging Face token when the model wants one and none is on this computer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QLineEdit

from personadesk.domain.plan import ModelKind
from personadesk.domain.text import T
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.hub_token import TokenCard
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.messages import bus
from personadesk.ui.places import DEPLOY
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]


def check_page(session: WindowSession, samples: ModuleType) -> tuple[DeployPage, TokenCard]:
    desk = session.desk
    draft = replace(
        flow.fresh_draft(desk.jobs.world, "My line"),
        where=flow.Where.MACHINE, machine="studio", model=ModelKind.PERSONAPLEX_7B,
    )  # fmt: skip
    desk.jobs.redraft(draft, flow.Page.CHECK)
    session.window.open_page(DEPLOY)
    page = session.window.current_page
    assert isinstance(page, DeployPage)
    card = page.findChild(TokenCard)
    assert card is not None
    return page, card


def said(card: TokenCard) -> str:
    return "\n".join(x.text() for x in card.findChildren(QLabel) if x.isVisible())


def test_a_missing_token_is_asked_for_once_and_goes_to_the_keyring(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)

    async def story(session: WindowSession) -> None:
        page, card = check_page(session, samples)
        await wait_for(lambda: "accepted its licence" in said(card))
        clicker.press(page, "Start")
        await wait_for(lambda: "Paste your token here" in said(card))
        assert fake_services.deploys.begun == []
        assert card.field.edit.echoMode() is QLineEdit.EchoMode.Password
        card.field.edit.setText("two words")
        clicker.press(page, "Start")
        await wait_for(lambda: "That is not a Hugging Face token." in said(card))
        card.field.edit.setText("hf_secret")
        clicker.press(page, "Start")
        await wait_for(lambda: fake_services.deploys.begun)
        assert fake_services.tokens == ["hf_secret"]
        assert "hf_secret" not in repr(session.desk.jobs.draft)

    live_window(story)


def test_a_token_that_is_here_is_named_and_nothing_is_asked(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)
    fake_services.token_source = T("the variable {name}", name="HF_TOKEN")

    async def story(session: WindowSession) -> None:
        page, card = check_page(session, samples)
        await wait_for(lambda: "Found in the variable HF_TOKEN." in said(card))
        assert not card.field.isVisible()
        clicker.press(page, "Start")
        await wait_for(lambda: fake_services.deploys.begun)
        assert fake_services.tokens == []

    live_window(story)


@pytest.mark.logs_warnings
def test_without_a_keyring_the_token_lasts_until_the_end_and_that_is_said(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)
    fake_services.has_keyring = False

    async def story(session: WindowSession) -> None:
        page, card = check_page(session, samples)
        await wait_for(lambda: card.field.isVisible())
        card.field.edit.setText("hf_secret")
        clicker.press(page, "Start")
        await wait_for(lambda: fake_services.deploys.begun)
        assert "forgotten when you quit" in str(bus().messages[0].what)

    live_window(story)


def test_the_rehearsal_model_wants_no_token(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        desk = session.desk
        draft = flow.fresh_draft(desk.jobs.world, "My line")
        desk.jobs.redraft(draft, flow.Page.CHECK)
        session.window.open_page(DEPLOY)
        page = session.window.current_page
        card = page.findChild(TokenCard)
        assert card is not None
        assert not card.isVisible()
        clicker.press(page, "Start")
        await wait_for(lambda: fake_services.deploys.begun)

    live_window(story)
