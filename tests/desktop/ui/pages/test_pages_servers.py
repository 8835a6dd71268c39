"""My servers, the first start's card and the wizard's page for machines, by clicks, over a stand-in directory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from personadesk.domain.errors import AuthFailed, BadRequest
from personadesk.domain.host import KeySource, SshAddress
from personadesk.domain.plan import ModelKind
from personadesk.domain.text import T
from personadesk.hosts.ssh import errors
from personadesk.ui.accounts.page import SERVERS, AccountsPage
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import OptionCard
from personadesk.ui.deploy.machine_page import MachinePage
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.dialogs import Question
from personadesk.ui.home.page import HomePage
from personadesk.ui.messages import bus
from personadesk.ui.places import ACCOUNTS, DEPLOY, HOME
from personadesk.ui.servers.form import MachineForm
from personadesk.ui.servers.page import ServersPage
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]


def accounts(session: WindowSession) -> ServersPage:
    session.window.open_page(ACCOUNTS)
    page = session.window.current_page
    assert isinstance(page, AccountsPage)
    page.choose(SERVERS)
    return page.servers


def machine_page(session: WindowSession) -> MachinePage:
    page = session.window.current_page
    assert isinstance(page, DeployPage)
    assert page.wizard is not None
    return page.findChild(MachinePage)


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def named(root: QWidget, name: str) -> QPushButton:
    return next(
        b for b in root.findChildren(QPushButton) if b.accessibleName() == name and b.isVisible()
    )


def fill(form: MachineForm, address: str, **others: str) -> None:
    """Type as a person does: field by field, leaving each."""
    form.address.edit.setFocus()
    QTest.keyClicks(form.address.edit, address)
    for name, text in others.items():
        edit = getattr(form, name).edit
        edit.setFocus()
        edit.selectAll()
        QTest.keyClicks(edit, text)


def test_the_first_machine_is_added_by_address_consent_and_checked(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        await wait_for(page.form.address.edit.hasFocus)
        fill(page.form, "anna@192.168.1.20", name="studio")
        assert page.form.user.edit.text() == "anna"
        await wait_for(lambda: "192.168.1.20 answers." in said(page))
        assert hosts.asked == [SshAddress("192.168.1.20", 22, "anna")]
        clicker.press(page, "Add and check")
        await wait_for(lambda: samples.HOST_KEY.fingerprint in said(page))
        assert hosts.records == {}, "nothing is kept before the yes"
        assert not clicker.button(page, "Add and check").isEnabled()
        assert clicker.button(page, "No, stop").hasFocus(), "the safe answer has the keyboard"
        hosts.gate.clear()
        clicker.press(page, "Yes, it is mine")
        await wait_for(lambda: page.chosen == "studio")
        await wait_for(lambda: "Being checked" in page.row("studio").accessibleName())
        hosts.gate.set()
        await wait_for(lambda: "This machine can run the voice." in said(page))
        assert page.row("studio").accessibleName() == (
            "studio, Fit, anna@192.168.1.20 · RTX 4090, 24 GB · checked just now"
        )
        assert "NVIDIA GeForce RTX 4090 with 24 GB." in said(page)
        assert not page.form.isVisible()
        assert page.primary_action is not None

    live_window(story)
    assert [tuple(each["fingerprints"]) for each in hosts.tries] == [
        (), (samples.HOST_KEY.fingerprint,),
    ]  # fmt: skip


def test_a_no_to_the_fingerprint_keeps_nothing_but_what_was_typed(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        session.window.resize(960, 640)
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        fill(page.form, "box")
        clicker.press(page, "Add and check")
        await wait_for(lambda: "Is this the right machine?" in said(page))
        no = clicker.button(page, "No, stop")
        await wait_for(lambda: no.visibleRegion().boundingRect() == no.rect())  # scrolled to
        session.window.open_page(HOME)
        accounts(session)
        await wait_for(no.hasFocus)
        assert no.visibleRegion().boundingRect() == no.rect()
        clicker.press(page, "No, stop")
        assert "Is this the right machine?" not in said(page)
        assert page.form.address.edit.text() == "box"
        clicker.press(page, "Cancel")
        assert "No machine of your own yet" in said(page)

    live_window(story)
    assert fake_services.hosts.records == {}


def test_faults_show_at_the_button_and_the_first_gets_the_keyboard(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        page.form.name.edit.setFocus()
        assert page.form.address.fault == "", "what is still empty is not judged when it is left"
        clicker.press(page, "Add and check")
        assert page.form.address.fault == "Type the machine’s name or address."
        assert page.form.address.edit.hasFocus()
        QTest.keyClicks(page.form.address.edit, "box")
        assert page.form.address.fault == ""
        page.form.port.edit.setFocus()
        page.form.port.edit.selectAll()
        QTest.keyClicks(page.form.port.edit, "99999")
        page.form.user.edit.setFocus()
        assert page.form.port.fault == "A port is a number from 1 to 65535; SSH usually has 22."
        assert page.form.name.edit.text() == "box", "a machine without a name is called as it is"

    live_window(story)
    assert fake_services.hosts.tries == []


def test_a_locked_key_asks_for_its_passphrase_and_a_wrong_one_again(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    key = Path("~/.ssh/id_ed25519").expanduser()
    key.parent.mkdir()
    key.write_text("locked")
    hosts = fake_services.hosts
    hosts.met.add("box:22")
    hosts.refusals = [
        AuthFailed(T("The key {file} is locked with a passphrase.", file="k"), T("Type it."),
                   cause="passphrase_needed"),
        AuthFailed(T("That is not the passphrase of the key {file}.", file="k"), T("Type it again."),
                   cause="wrong_passphrase"),
    ]  # fmt: skip

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        fill(page.form, "box", key=str(key))
        assert not page.form.passphrase.isVisible()
        clicker.press(page, "Add and check")
        await wait_for(page.form.passphrase.isVisible)
        assert page.form.passphrase.fault == "The key k is locked with a passphrase."
        await wait_for(page.form.passphrase.edit.hasFocus)
        QTest.keyClicks(page.form.passphrase.edit, "wrong")
        QTest.keyClick(page.form.passphrase.edit, Qt.Key.Key_Return)
        await wait_for(lambda: "not the passphrase" in page.form.passphrase.fault)
        page.form.passphrase.edit.clear()
        QTest.keyClicks(page.form.passphrase.edit, "right")
        clicker.press(page, "Add and check")
        await wait_for(lambda: page.chosen == "box")
        assert page.form.passphrase.edit.text() == "", "a secret does not stay in the window"

    live_window(story)
    assert [each["passphrase"] for each in hosts.tries] == [None, "wrong", "right"]
    assert hosts.tries[-1]["record"].key_file == str(key)


def test_a_password_installs_our_key_and_is_refused_in_words(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    hosts = fake_services.hosts
    hosts.met.add("box:22")
    hosts.refusals = [
        AuthFailed(
            T("{name} did not accept the password.", name="box"),
            T("Check the user's name and the password; some machines take keys only."),
            cause="password_refused", details="PermissionDenied",
        )
    ]  # fmt: skip

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        fill(page.form, "box")
        clicker.press(page, "Password, once")
        assert not page.form.key.isVisible()
        clicker.press(page, "Add and check")
        assert page.form.password.fault == "Type the password; it is used once and not kept."
        QTest.keyClicks(page.form.password.edit, "hunter2")
        clicker.press(page, "Add and check")
        await wait_for(lambda: "box did not accept the password." in said(page))
        clicker.press(page, "Add and check")
        await wait_for(lambda: page.chosen == "box")
        await wait_for(lambda: "the key that PersonaDesk made" in said(page))
        assert page.form.password.edit.text() == ""

    live_window(story)
    assert [each["password"] for each in hosts.tries] == ["hunter2", "hunter2"]
    assert hosts.records["box"].key_source is KeySource.OURS


def test_names_of_the_ssh_settings_are_offered(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    settings = Path("~/.ssh/config").expanduser()
    settings.parent.mkdir()
    settings.write_text("Host studio\n  HostName 10.0.0.9\n  Port 2200\nHost *\n  User anna\n")

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        offered = page.form._aliases
        await wait_for(offered.isVisible)
        assert [offered.itemText(i) for i in range(1, offered.count())] == ["studio"]
        offered.activated.emit(1)
        await wait_for(lambda: "studio answers." in said(page))
        assert (page.form.address.edit.text(), page.form.name.edit.text()) == ("studio", "studio")

    live_window(story)
    assert fake_services.hosts.asked == [SshAddress("studio")]


def test_an_address_that_does_not_answer_is_told_when_it_is_left(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    hosts = fake_services.hosts
    hosts.unreachable = errors.connecting(ConnectionRefusedError(), SshAddress("box"), 10.0)

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        fill(page.form, "box", user="anna")
        await wait_for(lambda: "box runs, but nothing answers on port 22." in said(page))
        assert "perhaps the SSH server is not started yet" in said(page)
        hosts.unreachable = None
        page.form.address.edit.setFocus()
        page.form.name.edit.setFocus()
        await wait_for(lambda: "box answers." in said(page))

    live_window(story)


def test_each_machine_tells_how_it_stands_and_what_was_found(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO, samples.ATTIC, samples.CELLAR)
    hosts.checks = {"attic": samples.host_check("warn"), "cellar": samples.host_check("unfit")}

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: sorted(hosts.looked) == ["attic", "cellar", "studio"])
        await wait_for(lambda: "checked" in page.row("studio").accessibleName())
        words = {name: page.row(name).accessibleName().split(", ")[1] for name in hosts.records}
        assert words == {"studio": "Fit", "attic": "Fit", "cellar": "Not fit"}
        assert "attic, Fit, with a warning, " in page.row("attic").accessibleName()
        clicker.click(page.row("cellar"))
        await wait_for(lambda: "This machine cannot run the voice as it is." in said(page))
        assert "Use Debian 10, Ubuntu 20.04 or newer." in said(page)
        clicker.click(page.row("attic"))
        await wait_for(lambda: "loginctl enable-linger anna" in said(page))
        assert "the key that PersonaDesk made" in said(page)
        hosts.checks["attic"] = samples.host_check("fit")
        clicker.click(named(page, "Check attic again"))
        await wait_for(lambda: "This machine can run the voice." in said(page))
        assert hosts.looked.count("attic") == 2

    live_window(story)


def test_a_changed_key_is_refused_in_plain_words_and_leads_to_remove(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.ATTIC)
    hosts.troubles["attic"] = errors.changed_key(
        samples.ATTIC.address, samples.HOST_KEY, samples.OTHER_KEY
    )

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "it shows another key" in said(page))
        assert "attic, Another key, " in page.row("attic").accessibleName()
        assert "somebody may be listening in, so do not go on" in said(page)
        clicker.press(page, "Remove…")
        question = session.window.findChild(Question)
        assert "Nothing is changed on the machine itself" in said(question)
        clicker.press(question, "Remove")
        await wait_for(lambda: "No machine of your own yet" in said(page))

    live_window(story)
    assert hosts.records == {}


@pytest.mark.logs_warnings
def test_a_machine_that_is_in_use_stays_and_why_is_told(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    hosts = fake_services.hosts
    hosts.knows(samples.STUDIO)

    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "This machine can run the voice." in said(page))
        hosts.refusals = [
            BadRequest(T("A voice server of yours is on “{name}”.", name="studio"), T("Uninstall."))
        ]
        clicker.click(named(page, "Remove studio…"))
        clicker.press(session.window.findChild(Question), "Remove")
        await wait_for(lambda: bus().messages)
        assert str(bus().messages[0].what) == "A voice server of yours is on “studio”."
        assert page.row("studio").isVisible()

    live_window(story)


def test_the_language_changes_while_a_fingerprint_waits(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        page = accounts(session)
        await wait_for(lambda: "No machine of your own yet" in said(page))
        clicker.press(page, "Add a machine")
        fill(page.form, "box")
        clicker.press(page, "Add and check")
        await wait_for(lambda: "Is this the right machine?" in said(page))
        session.window.choose_language("nl")
        await asyncio.sleep(0.02)
        page = accounts(session)
        assert "Is dit de juiste machine?" in said(page)
        assert samples.HOST_KEY.fingerprint in said(page)
        clicker.press(page, "Ja, die is van mij")
        await wait_for(lambda: "Deze machine kan de stem draaien." in said(page))

    live_window(story)


def test_from_the_first_start_to_a_deploy_on_a_new_machine(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        window = session.window
        home = window.current_page
        assert isinstance(home, HomePage)
        clicker.click(home.first_start.machine_card.button)
        await wait_for(lambda: window.current_id == DEPLOY)
        page = machine_page(session)
        await wait_for(page.form.isVisible)
        clicker.press(window, "Continue")
        assert "Choose a machine, or add one." in said(page)
        fill(page.form, "anna@192.168.1.20", name="studio")
        clicker.press(window, "Add and check")
        await wait_for(lambda: "Is this the right machine?" in said(page))
        fake_services.hosts.gate.clear()
        clicker.press(window, "Yes, it is mine")
        await wait_for(lambda: "Looking at it" in said(page))
        clicker.press(window, "Continue")
        assert "“studio” is being checked; wait a moment." in said(page)
        fake_services.hosts.gate.set()
        await wait_for(lambda: "This machine can run the voice." in said(page))
        assert "is being checked" not in said(page)
        clicker.press(window, "Continue")
        assert "Made on the machine in seconds." in said(window)
        clicker.press(window, "Continue")
        clicker.press(window, "Continue")
        assert "It runs on “studio”; no rent is paid." in said(window)
        assert "Can run it." in said(window)
        clicker.press(window, "Start")
        await wait_for(lambda: fake_services.deploys.begun)
        (plan,) = fake_services.deploys.begun
        assert (plan.place, plan.line) == ("host:studio", "My line")
        await wait_for(lambda: window.current_page.title == "Setting up “My line”")
        assert window.current_page.subtitle == (
            f"On “studio”. The address will be ws://127.0.0.1:{plan.port}/api/chat."
        )
        assert "My line · studio · Rehearsal model" in said(window)
        assert {"Ubuntu 24.04", "RTX 4090, 24 GB", "580.82.07"} <= set(said(window).split("\n"))
        (deployment,) = fake_services.deploys.deployments
        deployment.move(samples.finished_deploy(plan=plan))
        await wait_for(lambda: window.current_page.title == "My line is ready")
        assert "no rent" in said(window)
        assert "the tunnel is made again" in said(window)

    live_window(story)


def test_deploy_on_a_machine_opens_the_wizard_for_it(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO, samples.ATTIC)

    async def story(session: WindowSession) -> None:
        session.window.open_page(DEPLOY)  # a wizard that stands there already
        page = accounts(session)
        await wait_for(lambda: len(fake_services.hosts.looked) == 2)
        clicker.click(page.row("studio"))
        clicker.click(named(page, "Deploy to studio…"))
        await wait_for(lambda: session.window.current_id == DEPLOY)
        chosen = machine_page(session)
        assert chosen.isVisible()
        assert chosen.row("studio").isChecked()
        assert session.desk.jobs.draft.machine == "studio"  # type: ignore[union-attr]
        clicker.click(chosen.row("attic"))
        assert session.desk.jobs.draft.machine == "attic"  # type: ignore[union-attr]

    live_window(story)


def test_an_unfit_machine_stops_at_continue_and_another_can_be_added(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.CELLAR)
    fake_services.hosts.checks["cellar"] = samples.host_check("unfit")

    async def story(session: WindowSession) -> None:
        session.desk.ways.use_machine()
        await wait_for(lambda: session.window.current_id == DEPLOY)
        page = machine_page(session)
        await wait_for(lambda: "This machine cannot run the voice as it is." in said(page))
        clicker.press(session.window, "Continue")
        assert "Its system is too old: glibc 2.17." in said(page)
        assert session.desk.jobs.page is flow.Page.MACHINE
        other = next(
            c for c in page.findChildren(OptionCard) if c.accessibleName() == "Another machine"
        )
        clicker.click(other)
        assert page.form.address.edit.hasFocus()
        assert "Its system is too old" not in said(page)
        fill(page.form, "box")
        clicker.press(session.window, "Add and check")
        await wait_for(lambda: "Is this the right machine?" in said(page))
        clicker.press(session.window, "Yes, it is mine")
        await wait_for(lambda: "This machine can run the voice." in said(page))
        assert page.row("box").isChecked()
        assert not page.form.isVisible()
        clicker.press(session.window, "Continue")
        assert session.desk.jobs.page is flow.Page.MODEL

    live_window(story)


def test_where_offers_all_three_and_the_pages_follow_the_choice(
    live_window: Callable[..., None], clicker: Any, wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        window = session.window
        window.open_page(DEPLOY)
        here, _rented, there = (c for c in window.findChildren(OptionCard) if c.isVisible())
        assert here.isChecked()
        steps = [b.accessibleName() for b in window.findChildren(QPushButton)
                 if b.isVisible() and b.property("kind") == "step"]  # fmt: skip
        assert len(steps) == 4
        clicker.click(there)
        await asyncio.sleep(0.02)
        assert "Its address and a login" in said(window)
        clicker.press(window, "Continue")
        assert machine_page(session).isVisible()
        clicker.press(window, "Back")
        clicker.click(here)
        clicker.press(window, "Continue")
        assert session.desk.jobs.page is flow.Page.MODEL

    live_window(story)


def test_the_released_model_is_offered_for_a_machine_and_goes_with_it(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.hosts.knows(samples.STUDIO)

    async def story(session: WindowSession) -> None:
        session.desk.ways.use_machine("studio")
        await wait_for(lambda: session.window.current_id == DEPLOY)
        await wait_for(lambda: "This machine can run the voice." in said(session.window))
        clicker.press(session.window, "Continue")
        whole = next(
            c for c in session.window.findChildren(OptionCard)
            if c.isVisible() and c.accessibleName().startswith("PersonaPlex 7B")
        )  # fmt: skip
        clicker.click(whole)
        assert session.desk.jobs.draft.model is ModelKind.PERSONAPLEX_7B  # type: ignore[union-attr]
        clicker.press(session.window, "Back")
        clicker.press(session.window, "Back")
        here = next(
            c for c in session.window.findChildren(OptionCard)
            if c.isVisible() and c.accessibleName().startswith("This computer")
        )  # fmt: skip
        clicker.click(here)
        clicker.press(session.window, "Continue")
        assert not whole.isVisible()
        assert session.desk.jobs.draft.model is ModelKind.REHEARSAL  # type: ignore[union-attr]

    live_window(story)
