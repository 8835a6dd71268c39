"""The window's pages for rented GPUs in each of their states, made of sample data; `scenes` has the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt

import samples
from personadesk.domain.account import KEYRING, Account, AccountInfo, Right
from personadesk.domain.errors import AuthFailed, HostUnfit, PersonaDeskError, Unreachable
from personadesk.domain.offer import need_of, rank
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import DeployState, StepState
from personadesk.domain.reputation import Experience, Kind, Reputation, offer_name
from personadesk.domain.text import T
from personadesk.providers import catalog
from personadesk.store.spending import Cost
from personadesk.ui import dialogs
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.account_page import AccountPage
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.deploy.rent_draft import RentDraft
from personadesk.ui.rented.model import AccountState, Offers, Rented
from personadesk.ui.rented.model import Attempt as RentAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.progress import DeployView
    from personadesk.ui.shell import Page

    Make = Callable[..., Page]

__all__ = ["rented_of", "scenes"]


async def _nowhere() -> Any:
    raise NotImplementedError("sample accounts have no services")


def _stay(_name: str = "") -> None:
    return None


def rented_of(
    *accounts: AccountState, offers: Offers | None = None, attempt: RentAttempt | None = None
) -> Rented:
    """Return accounts and offers that stay as they are, and the sample rental."""
    made = Rented(_nowhere, clock=lambda: samples.STARTED + 400)
    made._accounts = {state.account.name: state for state in accounts}
    made._rentals = {samples.RENTAL.tag: samples.RENTAL}
    made.costs = (Cost(samples.RENTAL.tag, "Lambda", "i-0a1b", "", made.today, 400.0, 0.083),)
    made.loaded = True
    made.offers = offers or Offers()
    made.attempt = attempt or RentAttempt()
    made.look_now = _stay  # type: ignore[method-assign] # a picture asks nobody
    made.give_up = _stay  # type: ignore[method-assign] # the same
    made.ask_offers = _no_offers  # type: ignore[method-assign] # the same
    return made


def _no_offers(_need: Need, _only: Sequence[str] = ()) -> None:
    return None


def _account_state(provider: str, title: str, **changes: Any) -> AccountState:
    info = AccountInfo("anna@example.org", frozenset(Right), balance=23.4, checked=samples.STARTED)
    account = Account(title, provider, {"api_key": KEYRING})
    return AccountState(account, **({"info": info} | changes))


def _several() -> tuple[AccountState, ...]:
    named = {offer.account: offer.provider for offer in samples.OFFERS}
    return tuple(_account_state(provider, name) for name, provider in named.items())


def _offers(*, least: float = 24.0, failed: bool = False) -> Offers:
    need = need_of(ModelKind.PERSONAPLEX_7B)
    answers = {o.provider: catalog.facts(o.provider).answers.score() for o in samples.OFFERS}
    ranked = tuple(rank((o for o in samples.OFFERS if o.memory_gb >= least), answers))
    failures: dict[str, PersonaDeskError] = {}
    if failed:
        failures["RunPod"] = Unreachable(
            T("{provider} didn't answer.", provider="RunPod"),
            T("Check your own network, then try again."),
        )
    return Offers(need, ranked, failures, samples.STARTED + 360)


def _doubted() -> Offers:
    """Return offers of which one's host lost its GPU and another was sold out twice; the rest is as it was."""
    offers = _offers()
    kept = next(each for each in offers.offers if each.provider == "vast")
    sold = next(each for each in offers.offers if each.provider == "runpod")
    lived = [
        _lived(replace(kept, host="h-4411"), Kind.GPU_LOST, 20 * 3600.0),
        _lived(sold, Kind.SOLD_OUT, 900.0),
        _lived(sold, Kind.SOLD_OUT, 120.0),
    ]
    known = tuple(replace(each, host="h-4411") if each == kept else each for each in offers.offers)
    reputation = Reputation(lived, offers.asked)
    return replace(offers, offers=tuple(reputation.sort(known)), reputation=reputation)


def _lived(offer: Offer, kind: Kind, ago: float) -> Experience:
    return Experience(
        f"pd-{ago}/1", kind, offer.provider, offer_name(offer), offer.region, offer.host, offer.gpu,
        offer.place, samples.STARTED + 360 - ago,
    )  # fmt: skip


def _rent_doubted(wizard: Make) -> Page:
    offers = _doubted()
    choice = next(each for each in offers.offers if each.host)
    return _rent_wizard(
        wizard, flow.Page.GPU, rented_of(*_several(), offers=offers), choice=choice, insist=True
    )


def _rent_wizard(wizard: Make, page: flow.Page, rented: Rented, **rent: Any) -> Page:
    draft = {"where": flow.Where.RENT, "model": ModelKind.PERSONAPLEX_7B}
    return wizard(page, rented=rented, rent=RentDraft(**rent), **draft)


def _rent_account(wizard: Make, provider: str, attempt: RentAttempt | None = None) -> Page:
    page = _rent_wizard(wizard, flow.Page.ACCOUNT, rented_of(attempt=attempt), asks_account=True)
    view = _wizard_page(page, flow.Page.ACCOUNT)
    if isinstance(view, AccountPage):
        view.card(provider).setChecked(True)
        if attempt is not None:
            view.form._trying = attempt.name
            view.form._follow()
    return page


def _wizard_page(page: Page, name: flow.Page) -> object:
    if not isinstance(page, DeployPage) or page.wizard is None:
        raise TypeError("there is no wizard")
    return page.wizard.page_view(name)


def _rent_check(wizard: Make) -> Page:
    choice = samples.OFFERS[0]
    offers = (choice.key, samples.OFFERS[2].key)
    return _rent_wizard(
        wizard,
        flow.Page.CHECK,
        rented_of(*_several(), offers=_offers()),
        choice=choice,
        offers=offers,
    )


def _refused_account() -> RentAttempt:
    return RentAttempt(
        name="Lambda",
        error=AuthFailed(
            T("{provider} didn't accept the key.", provider="Lambda"),
            T("Paste another key."),
            cause="wrong_key",
            details="403 global/invalid-api-key",
        ),
    )


def _stop_rented(deploy: Make) -> Page:
    page = deploy(samples.deploy(4, samples.RENT_PLAN, 0.6), rented=rented_of())
    question = dialogs.stop_rented_question(page, samples.RENT_PLAN.line, 0.375)
    question.setWindowFlags(Qt.WindowType.Widget)
    below = page.layout()
    if below is None:
        raise ValueError("the page has no layout")
    below.addWidget(question)
    return page


def _rent_failed() -> DeployView:
    view = samples.deploy(2, samples.RENT_PLAN)
    error = HostUnfit(
        T("This machine can't run PersonaPlex: its driver is too old."),
        T("Choose another one; this one is ended so it costs nothing."),
        cause="driver",
    )
    steps = [*view.steps]
    steps[2] = replace(steps[2], state=StepState.FAILED, error=error, fraction=None)
    return replace(view, state=DeployState.FAILED, steps=tuple(steps), error=error)


def _rent_interrupted() -> DeployView:
    view = samples.deploy(3, samples.RENT_PLAN)
    steps = [*view.steps]
    steps[3] = replace(steps[3], state=StepState.CANCELLED, fraction=None)
    return replace(view, state=DeployState.INTERRUPTED, steps=tuple(steps))


def scenes(wizard: Make, deploy: Make) -> dict[str, Callable[[], Page]]:
    """Return the scenes by name.

    Args:
        wizard: Makes the deploy page with its wizard at a page.
        deploy: Makes the deploy page with a deploy.
    """
    return {
        "deploy-where-rent": lambda: wizard(flow.Page.WHERE, where=flow.Where.RENT),
        "deploy-account": lambda: _rent_account(wizard, "lambda"),
        "deploy-account-several": lambda: _rent_account(wizard, "aws"),
        "deploy-account-refused": lambda: _rent_account(wizard, "lambda", _refused_account()),
        "deploy-gpu": lambda: _rent_wizard(
            wizard, flow.Page.GPU, rented_of(*_several(), offers=_offers(failed=True))
        ),
        "deploy-gpu-doubted": lambda: _rent_doubted(wizard),
        "deploy-gpu-nothing": lambda: _rent_wizard(
            wizard, flow.Page.GPU, rented_of(*_several(), offers=_offers()), max_price="0.10"
        ),
        "deploy-gpu-asking": lambda: _rent_wizard(wizard, flow.Page.GPU, rented_of(*_several())),
        "deploy-check-rent": lambda: _rent_check(wizard),
        "deploy-running-rent": lambda: deploy(
            samples.deploy(4, samples.RENT_PLAN, 0.6), rented=rented_of()
        ),
        "deploy-stop-rent": lambda: _stop_rented(deploy),
        "deploy-failed-rent": lambda: deploy(_rent_failed(), log=2, rented=rented_of()),
        "deploy-interrupted-rent": lambda: deploy(_rent_interrupted(), log=0, rented=rented_of()),
        "deploy-result-rent": lambda: deploy(
            samples.finished_deploy(plan=samples.RENT_PLAN), rented=rented_of()
        ),
    }
