"""A line on another machine, as Home tells it and as a deploy that failed is changed, over a stand-in directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from PySide6.QtWidgets import QLabel, QWidget

from personadesk.domain.progress import DeployState
from personadesk.ui.deploy import flow
from personadesk.ui.places import DEPLOY, HOME
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def test_home_names_the_machine_that_a_line_runs_on(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    fake_services.lines.show(samples.line(), samples.host_line())

    async def story(session: WindowSession) -> None:
        window = session.window
        window.open_page(HOME)
        await wait_for(lambda: "studio · Rehearsal model · since" in said(window))
        assert "This computer · Rehearsal model · since" in said(window)
        assert "no machine is rented" in said(window)

    live_window(story)


def test_a_failed_deploy_on_a_machine_can_be_changed_with_the_machine_kept(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)
    fake_services.deploys.left_over = [samples.failed_deploy(samples.HOST_PLAN)]

    async def story(session: WindowSession) -> None:
        (job,) = session.desk.jobs.all
        assert job.view.state is DeployState.FAILED
        session.desk.jobs.show(job)
        session.window.open_page(DEPLOY)
        clicker.press(session.window, "Change something…")
        draft = session.desk.jobs.draft
        assert draft is not None
        assert (draft.where, draft.machine) == (flow.Where.MACHINE, "studio")
        assert session.desk.jobs.page is flow.Page.MODEL

    live_window(story)
