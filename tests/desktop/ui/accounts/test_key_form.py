"""The form that takes a key, by real clicks: pasting, trying, what is wrong told apart, nothing secret left behind."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QLineEdit, QPushButton

import rented_samples as samples
from personadesk.deploy.rented.views import FleetView
from personadesk.domain.account import KEYRING, Account
from personadesk.providers import catalog, faults
from personadesk.ui.accounts.key_form import KeyForm
from personadesk.ui.rented.model import Attempt
from rented_scenes import rented_of

LEFT = Qt.MouseButton.LeftButton
KEY = "rpa_SECRETSECRETSECRETSECRETSECRETSECRET1234"


class Asked:
    """A form over accounts that stay as they are; what is tried is written down."""

    def __init__(self, qtbot, provider: str, *accounts, **choices) -> None:
        self.rented = rented_of(FleetView(), *accounts)
        self.added = []
        self.replaced = []
        self.rented.add = self._add
        self.rented.replace = lambda name, values: self.replaced.append((name, values))
        self.form = KeyForm(catalog.facts(provider), self.rented, **choices)
        self.rented.setParent(self.form)
        qtbot.addWidget(self.form)
        self.form.resize(600, 500)
        self.form.show()
        qtbot.waitExposed(self.form)
        self.qtbot = qtbot

    def _add(self, given) -> None:
        self.added.append(given)
        self.rented._attempt(Attempt(busy=True, name=given.name))

    def button(self, text: str) -> QPushButton:
        return next(
            b for b in self.form.findChildren(QPushButton) if b.text() == text and b.isVisible()
        )

    def paste(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.qtbot.mouseClick(self.button("Paste"), LEFT)

    def answer(self, error) -> None:
        self.rented._attempt(Attempt(error=error, name=self.added[-1].name))


def test_a_pasted_key_is_tried_by_itself_and_never_shows(qtbot):
    asked = Asked(qtbot, "runpod")
    edit = asked.form.fields["api_key"].edit
    asked.paste(f"  {KEY}\n")
    qtbot.waitUntil(lambda: len(asked.added) == 1)
    assert dict(asked.added[0].values) == {"api_key": KEY}
    assert asked.added[0].name == "RunPod"
    assert edit.echoMode() is QLineEdit.EchoMode.Password
    assert KEY not in edit.displayText()
    asked.answer(None)
    assert edit.text() == "", "a key that is kept leaves the field"


def test_a_key_that_is_no_key_is_told_beside_the_field_and_not_tried(qtbot):
    asked = Asked(qtbot, "google")
    asked.paste("my password")
    qtbot.wait(350)
    assert asked.added == []
    assert "Was all of it copied?" in asked.form.fields["api_key"].fault


def test_many_lines_are_pasted_or_read_from_a_file(qtbot, tmp_path):
    asked = Asked(qtbot, "google")
    file = tmp_path / "service.json"
    file.write_text('{\n "type": "service_account"\n}\n')
    asked.form.read_file("api_key", file)
    qtbot.waitUntil(lambda: len(asked.added) == 1)
    assert asked.added[0].values["api_key"] == '{  "type": "service_account" }'
    file.write_bytes(b"\xff\x00")
    asked.form.read_file("api_key", file)
    assert asked.form.fields["api_key"].fault == "service.json cannot be read as a key."


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (faults.bad_key, "didn't accept the key"),
        (faults.expired_key, "has expired"),
        (lambda *a: faults.missing_right(*a[:2], "pod:write", a[2]), "pod:write"),
    ],
)
def test_wrong_expired_and_weak_keys_are_told_apart(qtbot, make, sentence):
    asked = Asked(qtbot, "runpod")
    asked.paste(KEY)
    qtbot.waitUntil(lambda: len(asked.added) == 1)
    problem = faults.Problem(401, message="no")
    asked.answer(make(catalog.facts("runpod"), "RunPod", problem))
    panel = asked.form._trouble.itemAt(0).widget()
    assert sentence in panel.accessibleName()
    qtbot.waitUntil(lambda: panel.isVisible() and asked.button("Open RunPod").isVisible())
    qtbot.mouseClick(asked.button("Try again"), LEFT)
    assert len(asked.added) == 2


def test_keyboard_alone_adds_another_account_with_its_own_name(qtbot):
    asked = Asked(qtbot, "runpod", samples.PODS, another=True)
    name = asked.form.name.edit
    name.selectAll()
    qtbot.keyClicks(name, "pods")
    asked.form.fields["api_key"].edit.setText("@RUNPOD_SECOND")
    qtbot.keyClick(asked.form.fields["api_key"].edit, Qt.Key.Key_Return)
    assert asked.added == []
    assert asked.form.name.fault == "There is an account called “pods” already."
    name.selectAll()
    qtbot.keyClicks(name, "Second")
    qtbot.keyClick(name, Qt.Key.Key_Tab)
    qtbot.keyClick(asked.form.fields["api_key"].edit, Qt.Key.Key_Return)
    assert [(g.name, dict(g.values)) for g in asked.added] == [
        ("Second", {"api_key": "@RUNPOD_SECOND"})
    ]


def test_another_key_goes_to_the_account_it_is_for(qtbot):
    asked = Asked(qtbot, "runpod", samples.PODS, replacing="Pods")
    asked.paste(KEY)
    qtbot.waitUntil(lambda: asked.replaced == [("Pods", {"api_key": KEY})])


def test_one_of_two_secrets_is_replaced_and_the_other_stays(qtbot):
    account = Account("Cloud", "aws", {"access_key_id": KEYRING, "secret_access_key": KEYRING})
    asked = Asked(qtbot, "aws", account, replacing="Cloud")
    assert not asked.form.submit(), "nothing was given"
    asked.form.fields["secret_access_key"].edit.setText("x" * 40)
    assert asked.form.submit()
    name, values = asked.replaced[0]
    assert name == "Cloud"
    assert values["secret_access_key"] == "x" * 40
    assert "access_key_id" not in values


def test_what_is_pasted_while_the_provider_is_asked_is_tried_next(qtbot):
    asked = Asked(qtbot, "runpod")
    asked.paste(KEY)
    qtbot.waitUntil(lambda: len(asked.added) == 1)
    asked.paste(KEY.replace("SECRET", "SECOND"))
    qtbot.wait(350)
    assert len(asked.added) == 1
    asked.answer(faults.bad_key(catalog.facts("runpod"), "RunPod", faults.Problem(401)))
    qtbot.waitUntil(lambda: len(asked.added) == 2)


class Browser(QObject):
    """Opens pages instead of the system's browser."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(url.toString())


@pytest.fixture
def browser(qapp):
    made = Browser()
    QDesktopServices.setUrlHandler("https", made, "open")
    yield made
    QDesktopServices.unsetUrlHandler("https")


def test_an_empty_balance_leads_to_the_page_where_money_is_put_in(qtbot, browser):
    facts = catalog.facts("runpod")
    asked = Asked(qtbot, "runpod")
    asked.paste(KEY)
    qtbot.waitUntil(lambda: len(asked.added) == 1)
    asked.answer(faults.out_of_funds(facts, faults.Problem(402)))
    panel = asked.form._trouble.itemAt(0).widget()
    qtbot.waitUntil(panel.isVisible)
    qtbot.mouseClick(asked.button("Open RunPod"), LEFT)
    assert browser.opened == [facts.billing]
