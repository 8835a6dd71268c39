"""Accounts by real clicks, over the real accounts, store and vault; only the provider's answers are made up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest
from keyring.backends import fail
from keyring.errors import PasswordDeleteError
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QWidget

import rented_samples
from personadesk.deploy.rented.views import AccountView, FleetView
from personadesk.domain.account import Account, AccountInfo, Right
from personadesk.domain.machine import Action
from personadesk.domain.offer import Need, Offer
from personadesk.providers import catalog, faults
from personadesk.providers.accounts import Accounts, Given
from personadesk.store.accounts import AccountStore
from personadesk.store.database import Database
from personadesk.store.secrets import Secrets
from personadesk.store.vault import Cost, Vault
from personadesk.ui.accounts.compare import CompareDialog
from personadesk.ui.accounts.page import AccountsPage
from personadesk.ui.accounts.provider_tab import ProviderTab
from personadesk.ui.accounts.safe_form import SafeForm
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.dialogs import Question
from personadesk.ui.places import ACCOUNTS
from personadesk.ui.session import WindowSession

Wait = Callable[..., Awaitable[None]]
GOOD, OTHER = "rpa_GOODGOODGOODGOODGOODGOOD1111", "rpa_GOODGOODGOODGOODGOODGOOD2222"
BAD, OLD, WEAK = "rpa_BADBADBADBADBADBADBADBAD3333", "rpa_OLD" + "O" * 24, "rpa_WEAK" + "W" * 24
PASSPHRASE = "correct horse battery"


class Nimble:
    """A provider that lets in by what the key says."""

    def __init__(self, account: Account, values: Mapping[str, str]) -> None:
        self.facts = catalog.facts(account.provider)
        self._account = account
        self._key = values["api_key"]

    async def verify(self) -> AccountInfo:
        await asyncio.sleep(0)
        problem = faults.Problem(401, "no", "no")
        if "GOOD" in self._key:
            return AccountInfo(
                who="me@example.com", rights=frozenset(Right), balance=12.0, checked=1.0
            )
        if "WEAK" in self._key:
            raise faults.missing_right(self.facts, self._account.name, "pod:write", problem)
        if "OLD" in self._key:
            raise faults.expired_key(self.facts, self._account.name, problem)
        raise faults.bad_key(self.facts, self._account.name, problem)

    async def offers(self, _need: Need) -> list[Offer]:
        name = self._account.name
        return [
            Offer(name, self.facts.id, gpu, gpu, size, price=price)
            for gpu, size, price in (("A10", 24, 0.75), ("L4", 24, 0.80), ("H100", 80, 2.99))
        ]

    async def aclose(self) -> None:
        """Nothing is open."""


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring that can be looked into."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError(username)
        del self.kept[service, username]


@pytest.fixture
def kept() -> Iterator[dict[tuple[str, str], str]]:
    """What the keyring has."""
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend.kept
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring() -> Iterator[None]:
    """A computer without one."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def real(
    run: Callable[[Awaitable[Any]], Any], fake_services: Any, tmp_path: Path
) -> Iterator[Callable[[], Accounts]]:
    """Puts real accounts behind the window; called again, those of the next start."""
    database = Database(tmp_path / "accounts.db")
    run(database.open())

    def accounts() -> Accounts:
        secrets = Secrets(Vault(tmp_path / "secrets.vault", Cost(n=1 << 10)))
        made = Accounts(AccountStore(database), secrets, Nimble)  # type: ignore[arg-type] # what is asked of one
        fake_services.accounts = made
        return made

    yield accounts
    run(database.close())


def page_of(session: WindowSession) -> AccountsPage:
    session.window.open_page(ACCOUNTS)
    page = session.window.current_page
    assert isinstance(page, AccountsPage)
    return page


def runpod(session: WindowSession) -> ProviderTab:
    page = page_of(session)
    page.choose("runpod")
    return page.tab("runpod")


def said(root: QWidget) -> str:
    """Everything that can be read or heard in the window."""
    parts = []
    for part in root.findChildren(QWidget):
        if not part.isVisible():
            continue
        parts += [part.accessibleName(), part.accessibleDescription(), part.toolTip()]
        if isinstance(part, (QLabel, QAbstractButton)):
            parts.append(part.text())
        elif isinstance(part, QLineEdit):
            parts.append(part.displayText())
    return "\n".join(parts)


def paste(root: QWidget, clicker: Any, key: str) -> None:
    QGuiApplication.clipboard().setText(key)
    clicker.press(root, "Paste")


def asked(session: WindowSession) -> Question:
    return next(q for q in session.window.findChildren(Question) if q.isVisible())


def test_a_key_comes_is_replaced_and_goes_and_is_never_seen(
    live_window: Any,
    real: Any,
    kept: Any,
    clicker: Any,
    wait_for: Wait,
    tmp_path: Path,
    caplog: Any,
) -> None:
    real()
    caplog.set_level(logging.INFO)  # what the log file takes
    caplog.set_level(logging.DEBUG, logger="personadesk")
    seen: list[str] = []

    async def story(session: WindowSession) -> None:
        tab = runpod(session)
        paste(tab, clicker, GOOD)
        await wait_for(lambda: "ends in 1111 · in the system keyring" in said(tab))
        assert "me@example.com" in said(tab)
        assert "See ✓   Rent ✓   End ✓" in said(tab)
        assert "$12.00" in said(tab)
        await wait_for(lambda: len(tab.offers.model.rows) == 3)
        seen.append(said(session.window))

        clicker.press(tab, "Replace key…")
        assert tab.extra is not None
        paste(tab.extra, clicker, BAD)
        await wait_for(lambda: "didn't accept the key" in said(tab.extra))
        seen.append(said(session.window))
        assert list(kept.values()) == [GOOD], "the old key stays until another one worked"
        paste(tab.extra, clicker, OTHER)
        await wait_for(lambda: "ends in 2222" in said(tab))
        assert tab.extra is None
        seen.append(said(session.window))
        assert list(kept.values()) == [OTHER]

        tab.connection.disconnect_.trigger()
        question = asked(session)
        assert question.accessibleName() == "Disconnect “RunPod”?"
        QTest.keyClick(question, Qt.Key.Key_Escape)
        await wait_for(lambda: not question.isVisible())
        assert kept
        tab.connection.disconnect_.trigger()
        clicker.press(asked(session), "Disconnect")
        await wait_for(tab.form.isVisible)
        assert kept == {}
        await wait_for(lambda: "“RunPod” is disconnected." in said(session.window))
        clicker.press(session.window, "Undo")
        await wait_for(lambda: "ends in 2222" in said(tab))
        assert list(kept.values()) == [OTHER]
        tab.connection.disconnect_.trigger()
        clicker.press(asked(session), "Disconnect")
        await wait_for(lambda: kept == {})

    live_window(story)
    files = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    for key in (GOOD, BAD, OTHER):
        assert not any(key in each for each in seen)
        assert key not in caplog.text
        assert key.encode() not in files


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (BAD, "RunPod didn't accept the key of “RunPod”."),
        (OLD, "The key of “RunPod” at RunPod has expired."),
        (WEAK, "Give it the right “pod:write” there, or paste another key."),
    ],
)
@pytest.mark.usefixtures("kept")
def test_what_is_wrong_with_a_key_is_told_and_nothing_is_kept(
    live_window: Any, real: Any, clicker: Any, wait_for: Wait, key: str, sentence: str
) -> None:
    accounts = real()

    async def story(session: WindowSession) -> None:
        tab = runpod(session)
        paste(tab, clicker, key)
        await wait_for(lambda: sentence in said(tab))
        assert key not in said(tab)
        assert await accounts.all() == ()
        assert tab.form.isVisible(), "the way to try again stays open"

    live_window(story)


@pytest.mark.usefixtures("no_keyring")
def test_without_a_keyring_a_file_with_a_passphrase_keeps_the_key_over_a_restart(
    live_window: Any, real: Any, clicker: Any, wait_for: Wait, tmp_path: Path
) -> None:
    real()

    async def first(session: WindowSession) -> None:
        tab = runpod(session)
        paste(tab, clicker, GOOD)
        await wait_for(lambda: "This system has no safe place for keys." in said(tab))
        clicker.press(tab, "File with a passphrase")
        safe = tab.form.findChild(SafeForm)
        QTest.keyClicks(safe.passphrase.edit, PASSPHRASE)
        QTest.keyClicks(safe.again.edit, "something else")
        clicker.press(tab, "Keep keys in this file")
        assert safe.again.fault == "The two are not the same."
        safe.again.edit.selectAll()
        QTest.keyClicks(safe.again.edit, PASSPHRASE)
        QTest.keyClick(safe.again.edit, Qt.Key.Key_Return)
        await wait_for(lambda: "in the file with a passphrase" in said(tab))
        assert PASSPHRASE not in said(tab)

    async def second(session: WindowSession) -> None:
        tab = runpod(session)
        await wait_for(lambda: "Your keys are in a file" in said(tab))
        safe = tab.connection.findChild(SafeForm)
        QTest.keyClicks(safe.passphrase.edit, "wrong horse battery")
        clicker.press(tab, "Unlock")
        await wait_for(lambda: "does not open the file" in safe.passphrase.fault)
        safe.passphrase.edit.selectAll()
        QTest.keyClicks(safe.passphrase.edit, PASSPHRASE)
        clicker.press(tab, "Unlock")
        await wait_for(lambda: "ends in 1111 · in the file with a passphrase" in said(tab))

    live_window(first)
    real()
    live_window(second)
    files = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert GOOD.encode() not in files
    assert PASSPHRASE.encode() not in files


@pytest.mark.usefixtures("no_keyring")
def test_without_a_keyring_a_key_can_be_kept_until_the_window_closes(
    live_window: Any, real: Any, clicker: Any, wait_for: Wait, tmp_path: Path
) -> None:
    real()

    async def story(session: WindowSession) -> None:
        tab = runpod(session)
        paste(tab, clicker, GOOD)
        await wait_for(lambda: "Only until I quit" in said(tab))
        safe = tab.form.findChild(SafeForm)
        safe.memory.setFocus()
        QTest.keyClick(safe.memory, Qt.Key.Key_Space)
        await wait_for(lambda: "in memory until you quit" in said(tab))

    live_window(story)
    assert not (tmp_path / "secrets.vault").exists()


@pytest.mark.usefixtures("kept")
def test_two_accounts_at_one_provider_and_the_keyboard_between_them(
    live_window: Any, real: Any, run: Any, clicker: Any, wait_for: Wait
) -> None:
    accounts = real()
    run(accounts.add(Given("Studio", "runpod", {"api_key": GOOD})))

    async def story(session: WindowSession) -> None:
        page = page_of(session)
        await wait_for(lambda: page.tabs.tabText(1) == "RunPod")
        # Every provider is seen at once in a narrow window too.
        session.window.resize(1024, 700)
        await wait_for(lambda: page.tabs.width() <= 1000)
        last = page.tabs.tabRect(page.tabs.count() - 1)
        assert page.tabs.count() == 9
        assert last.right() < page.tabs.width()
        tab = runpod(session)
        add = tab.primary_action
        assert add is not None
        clicker.click(add)
        form = tab.extra
        assert form is not None
        assert form.name is not None
        form.name.edit.selectAll()
        QTest.keyClicks(form.name.edit, "Team")
        paste(form, clicker, OTHER)
        await wait_for(lambda: "ends in 2222" in said(tab))
        box = tab.connection.accounts
        assert [box.itemText(n) for n in range(box.count())] == ["Studio", "Team"]
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Up)
        await wait_for(lambda: "ends in 1111" in said(tab))
        page.tabs.setFocus()
        before = page.chosen
        QTest.keyClick(page.tabs, Qt.Key.Key_Right)
        assert page.chosen != before
        assert not tab.isVisible()

    live_window(story)


@pytest.mark.usefixtures("kept")
def test_offers_keep_what_is_marked_and_one_of_them_opens_the_wizard(
    live_window: Any, real: Any, run: Any, clicker: Any, wait_for: Wait
) -> None:
    accounts = real()
    run(accounts.add(Given("Studio", "runpod", {"api_key": GOOD})))

    async def story(session: WindowSession) -> None:
        tab = runpod(session)
        offers = tab.offers
        await wait_for(lambda: len(offers.model.rows) == 3)
        row = next(n for n, each in enumerate(offers.model.rows) if each.best.gpu == "H100")
        table = offers.table
        where = table.visualRect(offers.model.index(row, 0)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
        assert offers.chosen is not None
        assert offers.chosen.best.gpu == "H100"
        clicker.press(offers, "All")
        await wait_for(lambda: session.desk.rented.shelf("Studio").need.memory_gb == 0.0)
        await wait_for(lambda: not session.desk.rented.shelf("Studio").asking)
        clicker.click(offers.refresh)
        await wait_for(lambda: not session.desk.rented.shelf("Studio").asking)
        assert offers.chosen.best.gpu == "H100"
        assert len(table.selectionModel().selectedRows()) == 1
        clicker.click(offers.deploy)
        await wait_for(lambda: isinstance(session.window.current_page, DeployPage))
        draft = session.desk.jobs.draft
        assert draft is not None
        assert draft.where is flow.Where.RENT
        assert draft.rent.choice is not None
        assert draft.rent.choice.gpu == "H100"
        assert draft.rent.max_price == "2.99", "what was chosen is within the limit"

    live_window(story)


@pytest.mark.usefixtures("kept")
def test_disconnecting_names_what_goes_on_costing_and_can_end_it_first(
    live_window: Any, real: Any, run: Any, fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    accounts = real()
    run(accounts.add(Given("Pods", "runpod", {"api_key": GOOD})))
    taken, foreign = rented_samples.TAKEN, rented_samples.FOREIGN
    view = AccountView("Pods", (taken, foreign), seen=1.0)
    fake_services.fleet.view = FleetView({"Pods": view}, strays=(taken,))

    async def story(session: WindowSession) -> None:
        tab = runpod(session)
        await wait_for(lambda: len(tab.machines.model.shown()) == 2)
        place = tab.machines.model.position(taken.key)
        tab.machines.table.selectRow(place)
        clicker.press(tab.machines, "Adopt")
        await wait_for(lambda: fake_services.fleet.adopted == [taken.key])
        tab.connection.disconnect_.trigger()
        question = asked(session)
        assert "1 machine keeps running and keeps costing $0.01 /h: support-demo-3." in (
            question.accessibleDescription()
        )
        assert "jupyter" not in question.accessibleDescription(), "what is not ours stays"
        clicker.press(question, "End and disconnect")
        await wait_for(tab.form.isVisible)
        assert fake_services.fleet.acted == [(taken.key, Action.END)]
        assert await accounts.all() == ()

    live_window(story)


@pytest.mark.usefixtures("kept")
def test_all_providers_are_compared_and_one_of_them_is_shown(
    live_window: Any, real: Any, clicker: Any, wait_for: Wait
) -> None:
    real()

    async def story(session: WindowSession) -> None:
        page = page_of(session)
        tab = runpod(session)
        clicker.press(tab, "Compare all providers")
        await wait_for(lambda: session.window.findChildren(CompareDialog))
        dialog = session.window.findChildren(CompareDialog)[0]
        assert dialog.model.rowCount() == len(catalog.ids()) + 1
        dialog.table.selectRow(dialog.ids.index("lambda"))
        QTest.keyClick(dialog.table, Qt.Key.Key_Return)
        await wait_for(lambda: page.chosen == "lambda")
        assert "Not yet proven with a real account." in said(page.tab("lambda"))

    live_window(story)
