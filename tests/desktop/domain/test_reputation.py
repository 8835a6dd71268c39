"""What is held against hosts, offers and regions: for how long, what makes it longer, and what ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    HostUnfit,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.guarding import Box, Observed, Voice
from personadesk.domain.machine import Machine, MachineState
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.progress import StepName
from personadesk.domain.reputation import (
    COUNTS,
    DAY,
    HOUR,
    MINUTE,
    Experience,
    Kind,
    Reputation,
    Scope,
    offer_name,
    trouble_found,
    trouble_of,
    trouble_seen,
)

NOON = 1_700_000_000.0
HOSTED = Offer("acc", "market", "ask-1", "RTX 4090", 24, region="SE", price=0.4, host="h1")
PLAIN = Offer("acc", "cloud", "a10", "A10", 24, region="east", price=0.5)


def lived(offer: Offer, kind: Kind, at: float, machine: str = "") -> Experience:
    return Experience(
        machine or f"pd-{at}/1", kind, offer.provider, offer_name(offer), offer.region, offer.host,
        offer.gpu, offer.place, at,
    )  # fmt: skip


def lasts(offer: Offer, *events: Experience) -> dict[Scope, float]:
    """For how long after the last event something is held against an offer, by scope."""
    last = events[-1].at
    found = Reputation(events, last).against(offer)
    return {each.subject.scope: each.until - last for each in found}


@pytest.mark.parametrize(
    ("kind", "hosted", "plain"),
    [
        (Kind.NO_GPU, {Scope.HOST: 3 * DAY, Scope.OFFER: 12 * HOUR},
         {Scope.OFFER: 12 * HOUR, Scope.REGION: 2 * HOUR}),
        (Kind.OLD_DRIVER, {Scope.HOST: 7 * DAY, Scope.OFFER: 12 * HOUR}, {Scope.OFFER: 12 * HOUR}),
        (Kind.GPU_LOST, {Scope.HOST: 3 * DAY, Scope.OFFER: 6 * HOUR},
         {Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR}),
        (Kind.BROKE, {Scope.HOST: DAY, Scope.OFFER: 6 * HOUR},
         {Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR}),
        (Kind.VANISHED, {Scope.HOST: 6 * HOUR, Scope.OFFER: HOUR}, {Scope.OFFER: HOUR}),
        (Kind.TAKEN_BACK, {Scope.OFFER: HOUR}, {Scope.OFFER: HOUR}),
        (Kind.NEVER_UP, {Scope.HOST: 2 * DAY, Scope.OFFER: 6 * HOUR},
         {Scope.OFFER: 6 * HOUR, Scope.REGION: 2 * HOUR}),
        (Kind.SLOW, {Scope.HOST: 2 * DAY, Scope.OFFER: 12 * HOUR}, {Scope.OFFER: 12 * HOUR}),
        (Kind.INSTALL, {Scope.HOST: DAY, Scope.OFFER: 3 * HOUR},
         {Scope.OFFER: 3 * HOUR, Scope.REGION: HOUR}),
        (Kind.SOLD_OUT, {Scope.OFFER: 5 * MINUTE}, {Scope.OFFER: 5 * MINUTE}),
    ],
)  # fmt: skip
def test_each_trouble_counts_for_its_time(kind, hosted, plain):
    # Of a region whose hosts are told one host says nothing yet.
    assert lasts(HOSTED, lived(HOSTED, kind, NOON)) == hosted
    assert lasts(PLAIN, lived(PLAIN, kind, NOON)) == plain


def test_every_trouble_has_its_time_and_its_words():
    for kind in set(Kind) - {Kind.WELL, Kind.FORGOTTEN}:
        assert COUNTS[kind]
        for offer in (HOSTED, PLAIN):
            (doubt, *_) = Reputation([lived(offer, kind, NOON)], NOON).against(offer)
            assert str(doubt.why(NOON)).endswith(".")


@pytest.mark.parametrize(
    ("kind", "scope", "most"),
    [
        (Kind.GPU_LOST, Scope.HOST, 30 * DAY),
        (Kind.GPU_LOST, Scope.OFFER, 2 * DAY),
        (Kind.SOLD_OUT, Scope.OFFER, HOUR),
    ],
)
def test_the_time_doubles_with_each_machine_in_a_row_up_to_a_limit(kind, scope, most):
    events = [lived(HOSTED, kind, NOON + n * HOUR / 10) for n in range(9)]
    times = [lasts(HOSTED, *events[: n + 1])[scope] for n in range(9)]
    first = COUNTS[kind][scope]
    assert times[:3] == [first, 2 * first, 4 * first]
    assert times[-1] == most
    assert Reputation(events, events[-1].at).against(HOSTED)[0].times == 9


def test_what_one_machine_did_counts_once_and_the_worst_of_it_counts():
    events = [
        lived(HOSTED, Kind.SLOW, NOON, "pd-1/1"), lived(HOSTED, Kind.OLD_DRIVER, NOON + 60, "pd-1/1"),
        lived(HOSTED, Kind.VANISHED, NOON + 120, "pd-1/1"),
    ]  # fmt: skip
    (host, *_) = Reputation(events, NOON + 120).against(HOSTED)
    assert (host.kind, host.times, host.until) == (Kind.OLD_DRIVER, 1, NOON + 60 + 7 * DAY)


def test_what_lies_far_apart_is_no_row():
    events = [lived(PLAIN, Kind.SLOW, NOON), lived(PLAIN, Kind.SLOW, NOON + 8 * DAY)]
    assert lasts(PLAIN, *events) == {Scope.OFFER: 12 * HOUR}


def test_that_others_want_it_makes_nothing_worse_that_it_did():
    events = [lived(PLAIN, Kind.SOLD_OUT, NOON - n) for n in (3, 2, 1)]
    events.append(lived(PLAIN, Kind.GPU_LOST, NOON))
    assert lasts(PLAIN, *events)[Scope.OFFER] == 6 * HOUR


def test_a_machine_that_does_well_ends_it_and_one_that_fails_later_does_not():
    lost = lived(HOSTED, Kind.GPU_LOST, NOON, "pd-1/1")
    well = lived(HOSTED, Kind.WELL, NOON + DAY, "pd-2/1")
    assert Reputation([lost, well], NOON + DAY).against(HOSTED) == ()
    again = lived(HOSTED, Kind.GPU_LOST, NOON + DAY + HOUR, "pd-2/1")
    (host, *_) = Reputation([lost, well, again], NOON + DAY + HOUR).against(HOSTED)
    assert (host.times, host.until - again.at) == (2, 6 * DAY)


def test_a_machine_that_passed_at_the_second_try_is_forgiven_its_first():
    slow = lived(HOSTED, Kind.SLOW, NOON, "pd-1/1")
    well = lived(HOSTED, Kind.WELL, NOON + 60, "pd-1/1")
    assert Reputation([slow, well], NOON + 60).against(HOSTED) == ()


def test_one_that_does_well_elsewhere_in_a_region_says_nothing_of_a_host():
    other = replace(HOSTED, ref="ask-2", host="h2")
    events = [lived(HOSTED, Kind.BROKE, NOON), lived(other, Kind.WELL, NOON + 1)]
    assert Scope.HOST in lasts(HOSTED, *events)
    assert lasts(other, *events) == {}


def test_a_region_whose_hosts_are_told_is_doubted_from_the_second_host_on():
    other, third = replace(HOSTED, ref="ask-2", host="h2"), replace(HOSTED, ref="ask-3", host="h3")
    first = lived(HOSTED, Kind.BROKE, NOON)
    assert lasts(third, first, lived(HOSTED, Kind.BROKE, NOON + 1)) == {}
    assert lasts(third, first, lived(other, Kind.BROKE, NOON + 1)) == {Scope.REGION: 2 * HOUR}


def test_what_a_person_forgets_is_gone_and_nothing_else():
    events = [lived(PLAIN, Kind.GPU_LOST, NOON)]
    pardon = Experience("x", Kind.FORGOTTEN, "cloud", region="east", at=NOON + 1)
    assert lasts(PLAIN, *events, pardon) == {Scope.OFFER: 6 * HOUR - 1}
    later = lived(PLAIN, Kind.GPU_LOST, NOON + 2)
    assert lasts(PLAIN, *events, pardon, later)[Scope.REGION] == 2 * HOUR


def test_it_ends_by_itself_and_other_providers_and_accounts_are_others():
    events = [lived(PLAIN, Kind.SLOW, NOON)]
    assert Reputation(events, NOON + 12 * HOUR - 1).against(PLAIN)
    assert not Reputation(events, NOON + 12 * HOUR).against(PLAIN)
    now = Reputation(events, NOON)
    assert not now.against(replace(PLAIN, provider="other"))
    assert now.against(replace(PLAIN, account="second")), "the same machines are behind it"
    assert not now.against(replace(PLAIN, spot=True))


def test_what_did_badly_comes_after_the_rest_and_is_never_dropped():
    sold = replace(PLAIN, ref="sold", region="west", stock=Stock.NONE)
    sound = replace(PLAIN, ref="dear", region="west", price=9.0)
    events = [lived(HOSTED, Kind.BROKE, NOON), lived(PLAIN, Kind.BROKE, NOON)]
    ranked = [HOSTED, PLAIN, sold, sound]
    assert Reputation(events, NOON).sort(ranked) == [sound, PLAIN, HOSTED, sold]
    assert Reputation(events, NOON).sort([HOSTED]) == [HOSTED]
    assert Reputation(now=NOON).sort(ranked) == [HOSTED, PLAIN, sound, sold]


@pytest.mark.parametrize(
    ("step", "error", "kind"),
    [
        (StepName.CHECK, HostUnfit("x", cause="driver"), Kind.OLD_DRIVER),
        (StepName.CHECK, HostUnfit("x", cause="gpu"), Kind.NO_GPU),
        (StepName.CHECK, HostUnfit("x", cause="disk_full"), None),
        (StepName.CHECK, BadRequest("x", cause="port_taken"), None),
        (StepName.INSTALL, ProviderFault("x", cause="install_failed"), Kind.INSTALL),
        (StepName.INSTALL, Unreachable("x", cause="install_timeout"), Kind.INSTALL),
        (StepName.INSTALL, Unreachable("x", cause="connection_lost"), None),
        (StepName.INSTALL, ProviderFault("x", cause="bug"), None),
        (StepName.MODEL, AuthFailed("x", cause="missing_right"), None),
        (StepName.READY, ProviderFault("x", details="RuntimeError: No CUDA GPUs are available"), Kind.NO_GPU),
        (StepName.READY, ProviderFault("x", details="The NVIDIA driver on your system is too old"), Kind.OLD_DRIVER),
        (StepName.READY, ProviderFault("x", details="AttributeError"), None),
        (StepName.VOICE_TEST, HostUnfit("x", cause="voice_slow"), Kind.SLOW),
        (StepName.VOICE_TEST, ProviderFault("x", cause="no_voice"), None),
        (StepName.LINE, BadRequest("x", cause="port_taken"), None),
        (StepName.RENT, QuotaExceeded("x"), None),
        (StepName.RENT, AuthFailed("x"), None),
        (StepName.RENT, BadRequest("x", cause="budget"), None),
    ],
)  # fmt: skip
def test_only_what_is_the_machines_fault_is_blamed_on_it(
    step: StepName, error: PersonaDeskError, kind: Kind | None
):
    assert trouble_of(step, error) is kind


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"state": MachineState.LOST}, Kind.BROKE),
        ({"state": MachineState.FAILED}, Kind.BROKE),
        ({"state": MachineState.RUNNING, "count": 0}, Kind.GPU_LOST),
        ({"state": MachineState.STOPPED, "count": 0}, None),
        ({"state": MachineState.RUNNING}, None),
        ({"state": MachineState.UNKNOWN}, None),
    ],
)
def test_a_providers_word_tells_what_is_wrong(changes, kind):
    assert trouble_seen(Machine("m", "acc", "cloud", **changes)) is kind


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (Observed(Voice.SILENT, box=Box.NO_GPU), Kind.GPU_LOST),
        (Observed(Voice.SILENT, box=Box.BROKEN), Kind.BROKE),
        (Observed(Voice.SILENT, box=Box.GONE), Kind.VANISHED),
        (Observed(Voice.SLOW, box=Box.RUNNING, reached=True), Kind.SLOW),
        (Observed(Voice.SILENT, box=Box.RUNNING, reached=False), Kind.NEVER_UP),
        (Observed(Voice.DEAD, box=Box.RUNNING, reached=True), None),
        (Observed(Voice.STOPPED, box=Box.STOPPED), None),
    ],
)
def test_the_guardian_blames_what_it_saw(seen, kind):
    assert trouble_found(seen) is kind


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This computer's clock shows UTC."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its time zone for one process")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_the_words_say_until_when_and_why():
    now = 1_700_049_600.0  # 2023-11-15 12:00 UTC
    lost = lived(HOSTED, Kind.VANISHED, now - HOUR)
    (host, offer) = Reputation([lost, lived(HOSTED, Kind.VANISHED, now - 30, "b")], now).against(
        HOSTED
    )
    assert str(host.why(now)) == (
        "Left alone until 23:59: a machine vanished (2 times in a row), today at 11:59."
    )
    assert (str(host.ends(now)), str(offer.ends(now))) == ("23:59", "13:59")
    (region, *_) = [
        each for each in Reputation([lived(PLAIN, Kind.GPU_LOST, now - 13 * HOUR)], now - 12 * HOUR).all()
        if each.subject.scope is Scope.REGION
    ]  # fmt: skip
    assert str(region.why(now - 12 * HOUR)) == (
        "Its region comes after the others until 01:00: a machine lost its GPU, yesterday at 23:00."
    )
    (host, *_) = Reputation([lived(HOSTED, Kind.GPU_LOST, now - 2 * DAY)], now).against(HOSTED)
    assert str(host.why(now)) == (
        "Left alone until 12:00 tomorrow: a machine lost its GPU, on 2023-11-13."
    )
