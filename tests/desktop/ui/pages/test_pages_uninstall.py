"""PersonaDesk taken off a machine from the window, by clicks, over stand-ins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from personadesk.domain import fitness
from personadesk.domain.errors import HostUnfit
from personadesk.domain.host import InstallFact, RestartProof
from personadesk.domain.plan import ModelKind
from personadesk.domain.text import T
from personadesk.ui.accounts.page import SERVERS, AccountsPage
from personadesk.ui.deploy import flow
from personadesk.ui.dialogs import Question
from personadesk.ui.messages import Severity, bus
from personadesk.ui.places import ACCOUNTS
from personadesk.ui.servers.page import ServersPage
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]


def accounts(session: WindowSession) -> ServersPage:
    session.window.open_page(ACCOUNTS)
    page = session.window.current_page
    assert isinstance(page, AccountsPage)
    page.choose(SERVERS)
    return page.servers


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def named(root: QWidget, name: str) -> list[QPushButton]:
    return [
        b for b in root.findChildren(QPushButton) if b.accessibleName() == name and b.isVisible()
    ]


OFF = "Uninstall PersonaDesk from studio…"


def test_a_machine_in_use_is_emptied_and_can_then_be_removed(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO, samples.ATTIC)
    hosts.placements = {"studio": [samples.HOST_PLAN.id]}
    fake_services.lines.show(samples.line(), samples.host_line())

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(
            lambda: len(hosts.looked) == 2 and "checked" in page.row("studio").accessibleName()
        )
        clicker.click(page.row("attic"))
        assert not named(page, "Uninstall PersonaDesk from attic…"), "nothing of ours is there"
        clicker.click(page.row("studio"))
        (off,) = named(page, OFF)
        clicker.click(off)
        question = session.window.findChild(Question)
        assert "models and logs there are removed to the last byte" in said(question)
        assert "keep their addresses, without a voice" in said(question)
        clicker.press(question, "Cancel")
        assert fake_services.uninstalls == []
        await wait_for(lambda: session.window.findChild(Question) is None)
        clicker.click(off)
        hosts.gate.clear()
        clicker.press(session.window.findChild(Question), "Uninstall")
        await wait_for(lambda: "Stopping the voices on “studio”." in said(page))
        assert "studio, Being uninstalled, " in page.row("studio").accessibleName()
        for name in (OFF, "Remove studio…", "Deploy to studio…", "Check studio again"):
            assert not named(page, name)[0].isEnabled(), name
        assert "wait a moment" in str(session.desk.machines.fault("studio"))
        hosts.gate.set()
        await wait_for(lambda: bus().messages)
        assert bus().messages[0].severity is Severity.GOOD
        assert "Nothing of PersonaDesk is left on “studio”." in said(session.window)
        await wait_for(lambda: not named(page, OFF) and hosts.looked.count("studio") == 2)
        assert fake_services.uninstalls == ["studio"]
        left = next(x for x in session.desk.lines if x.name == samples.HOST_PLAN.line)
        assert (left.target, left.port) == (None, 8999)
        await wait_for(lambda: named(page, "Remove studio…")[0].isEnabled())
        clicker.click(named(page, "Remove studio…")[0])
        clicker.press(session.window.findChild(Question), "Remove")
        await wait_for(lambda: "studio" not in hosts.records)

    live_window(story)


def test_what_could_not_be_removed_is_told_and_tried_again(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO)
    # Put there by another PersonaDesk: only the check knows of it.
    facts = replace(samples.host_facts(), install=InstallFact("/home/anna/.personadesk", "0.1.0"))
    hosts.checks = {"studio": fitness.judge(facts)}
    fake_services.uninstall_refusals = [
        HostUnfit(T("Not everything there could be removed."), T("Remove it there yourself."))
    ]

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: named(page, OFF))
        clicker.click(named(page, OFF)[0])
        clicker.press(session.window.findChild(Question), "Uninstall")
        await wait_for(lambda: "Not everything there could be removed." in said(page))
        assert "Remove it there yourself." in said(page)
        assert named(page, OFF)[0].isEnabled()
        clicker.press(page, "Try to uninstall again")
        await wait_for(lambda: not named(page, OFF))
        await wait_for(lambda: "Not everything there could be removed." not in said(page))
        assert fake_services.uninstalls == ["studio", "studio"]

    live_window(story)


def test_it_speaks_dutch(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)
    fake_services.hosts.placements = {"studio": ["pd-1"]}

    async def story(session: WindowSession) -> None:
        session.window.choose_language("nl")
        page = accounts(session)
        await wait_for(lambda: named(page, "PersonaDesk van studio afhalen…"))
        clicker.click(named(page, "PersonaDesk van studio afhalen…")[0])
        question = session.window.findChild(Question)
        assert "tot de laatste byte verwijderd" in said(question)
        clicker.press(question, "Eraf halen")
        await wait_for(
            lambda: "Op “studio” staat niets meer van PersonaDesk." in said(session.window)
        )

    live_window(story)


def test_a_line_without_a_voice_can_be_given_one_again(
    samples: ModuleType, scenes: ModuleType
) -> None:
    full = samples.line()
    empty = replace(full, target=None)
    draft = flow.Draft(line=full.name, port=str(full.port), model=ModelKind.REHEARSAL)

    def spots(*lines: Any, **changes: Any) -> set[flow.Field]:
        world = scenes.SampleWorld(lines)
        world.port_is_free = lambda port: port != full.port  # its own gateway answers there
        return {
            each.field for each in flow.faults(flow.Page.LINE, replace(draft, **changes), world)
        }

    assert spots(full) == {flow.Field.LINE, flow.Field.PORT}
    assert spots(empty) == set()
    assert spots(empty, line="Another") == {flow.Field.PORT}


def test_a_machine_that_is_gone_is_forgotten_anyway_after_a_plain_warning(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO)
    hosts.placements = {"studio": [samples.HOST_PLAN.id]}
    fake_services.uninstall_refusals = [HostUnfit(T("It is not reached."))]

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "checked" in page.row("studio").accessibleName())
        clicker.click(named(page, OFF)[0])
        clicker.press(session.window.findChild(Question), "Uninstall")
        await wait_for(lambda: "It is not reached." in said(page))
        await wait_for(lambda: session.window.findChild(Question) is None)
        clicker.press(page, "Forget anyway…")
        question = session.window.findChild(Question)
        assert "Nothing is stopped there" in said(question)
        clicker.press(question, "Forget anyway")
        await wait_for(lambda: "No machine of your own yet" in said(page))

    live_window(story)
    assert hosts.records == {}


def test_starts_by_itself_says_what_was_proven(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO, samples.ATTIC)
    hosts.proofs = {"attic": RestartProof("cron", samples.STARTED)}

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: len(hosts.looked) == 2)
        page.row("studio").setChecked(True)
        await wait_for(lambda: "Not proven yet" in said(page))
        page.row("attic").setChecked(True)
        await wait_for(lambda: "After a restart of the machine cron starts it." in said(page))
        assert "Not proven yet" not in said(page)
        hosts.proofs = {"attic": RestartProof("none", samples.STARTED)}
        session.desk.machines.load()
        await wait_for(lambda: "Nothing there starts it" in said(page))

    live_window(story)
