"""The wizard's rules, without a window."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from personadesk.domain.plan import ModelKind
from personadesk.domain.text import T
from personadesk.ui.deploy import flow, words
from personadesk.ui.deploy.flow import Draft, Field, Page, Where
from personadesk.ui.i18n import language


@pytest.fixture
def world(scenes: ModuleType, samples: ModuleType) -> flow.World:
    made: flow.World = scenes.SampleWorld([samples.line()])
    return made


GOOD = Draft(line="Practice", port="9000")


def told(page: Page, draft: Draft, world: flow.World) -> dict[Field, str]:
    return {fault.field: str(fault.what) for fault in flow.faults(page, draft, world)}


THERE = Draft(line="Practice", port="9000", where=Where.MACHINE, machine="studio")


@pytest.mark.parametrize(
    ("draft", "passed"),
    [
        (GOOD, [Page.WHERE, Page.MODEL, Page.LINE, Page.CHECK]),
        (THERE, [Page.WHERE, Page.MACHINE, Page.MODEL, Page.LINE, Page.CHECK]),
    ],
)
def test_pages_follow_each_other_from_where_to_check_and_back(
    draft: Draft, passed: list[Page]
) -> None:
    forward, page = [Page.WHERE], Page.WHERE
    while (following := flow.following(page, draft)) is not None:
        page = following
        forward.append(page)
    assert forward == passed == list(flow.pages(draft))
    assert [flow.preceding(page, draft) for page in forward] == [None, *forward[:-1]]


def test_a_plan_for_a_machine_becomes_its_draft_again(world: flow.World) -> None:
    assert flow.faults(Page.CHECK, THERE, world) == ()
    plan = flow.plan_of(THERE)
    assert plan.place == "host:studio"
    assert flow.draft_of(plan) == THERE
    assert flow.plan_of(replace(THERE, where=Where.HERE)).place == "local"


def test_a_machine_is_only_judged_when_the_voice_shall_run_there(world: flow.World) -> None:
    unfit = replace(THERE, machine="cellar")
    assert told(Page.CHECK, unfit, world) == {Field.MACHINE: "There is no NVIDIA GPU."}
    assert told(Page.MACHINE, replace(THERE, machine=""), world) == {
        Field.MACHINE: "Choose a machine, or add one."
    }
    assert told(Page.CHECK, replace(unfit, where=Where.HERE), world) == {}


def test_a_folder_on_a_machine_is_judged_by_its_form_alone(world: flow.World) -> None:
    there = replace(THERE, model=ModelKind.FOLDER, folder="/nowhere/here")
    assert told(Page.MODEL, there, world) == {}
    assert told(Page.MODEL, replace(there, folder="models"), world) == {
        Field.FOLDER: "Type the folder’s whole path, from / on."
    }


def test_the_released_model_is_for_machines_as_yet(world: flow.World) -> None:
    whole = replace(THERE, model=ModelKind.PERSONAPLEX_7B)
    assert told(Page.MODEL, whole, world) == {}
    assert told(Page.MODEL, replace(whole, where=Where.HERE), world) == {
        Field.FOLDER: "Choose a model that this computer can get."
    }


def test_a_good_draft_has_no_fault_anywhere_and_becomes_a_plan(world: flow.World) -> None:
    assert flow.first_faulty(GOOD, world) is None
    plan = flow.plan_of(Draft(line="  Practice ", port="9000", folder="/left/over"))
    assert (plan.line, plan.port, plan.model.kind, plan.model.folder) == (
        "Practice", 9000, ModelKind.REHEARSAL, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "Give the line a name."),
        ("   ", "Give the line a name."),
        ("x" * 41, "A name has at most 40 characters; this one has 41."),
        ("front DESK", "There is a line called “front DESK” already. Choose another name."),
    ],
)
def test_a_name_that_cannot_be_is_told_in_a_sentence(
    line: str, sentence: str, world: flow.World
) -> None:
    assert told(Page.LINE, Draft(line=line, port="9000"), world) == {Field.LINE: sentence}


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("", "A port is a number from 1024 to 65535."),
        ("80", "A port is a number from 1024 to 65535."),
        ("65536", "A port is a number from 1024 to 65535."),
        ("٨٩٩٨", "A port is a number from 1024 to 65535."),
        ("8998", "Port 8998 belongs to the line “Front desk”. Choose another one."),
        ("8999", "Port 8999 is used by another program. 9000 is free."),
    ],
)
def test_a_port_that_cannot_be_is_told_in_a_sentence(
    port: str, sentence: str, world: flow.World
) -> None:
    assert told(Page.LINE, Draft(line="Practice", port=port), world) == {Field.PORT: sentence}


def test_a_folder_is_only_looked_at_when_it_is_the_choice(world: flow.World) -> None:
    wrong = Draft(folder="/nowhere", line="Practice", port="9000")
    assert told(Page.MODEL, wrong, world) == {}
    chosen = Draft(ModelKind.FOLDER, "/nowhere", "Practice", "9000")
    assert told(Page.MODEL, chosen, world) == {
        Field.FOLDER: "The model folder /nowhere does not exist."
    }
    empty = Draft(ModelKind.FOLDER, " ", "Practice", "9000")
    assert told(Page.MODEL, empty, world) == {
        Field.FOLDER: "Choose the folder that holds the model."
    }


def test_the_last_page_knows_all_faults_and_the_first_faulty_page(world: flow.World) -> None:
    draft = Draft(ModelKind.FOLDER, "", "", "1")
    assert set(told(Page.CHECK, draft, world)) == {Field.FOLDER, Field.LINE, Field.PORT}
    assert flow.first_faulty(draft, world) is Page.MODEL


def test_a_fresh_draft_avoids_names_and_ports_that_are_taken(
    scenes: ModuleType, samples: ModuleType
) -> None:
    taken = scenes.SampleWorld([samples.line("My line"), samples.line("My line 2", 9000)])
    fresh = flow.fresh_draft(taken, "My line")
    assert (fresh.line, fresh.port) == ("My line 3", "9001")


@pytest.mark.parametrize(
    ("written", "dutch"),
    [
        ("0.39 s", "0,39 s"), ("$0.75 /h", "$0,75 /h"), ("≈ $1.5", "≈ $1,5"), ("-36.5 dB", "-36,5 dB"),
        ("192.0.2.17:22", "192.0.2.17:22"), ("ws://127.0.0.1:8998/api/chat", "ws://127.0.0.1:8998/api/chat"),
        ("2.13.0", "2.13.0"), ("box.example.org", "box.example.org"),
    ],
)  # fmt: skip
def test_figures_of_a_sentence_are_written_as_the_language_does_and_addresses_stay(
    written: str, dutch: str
) -> None:
    said = T("It is {value}", value=written)
    assert words.sentence(said) == f"It is {written}"
    language().choose("nl")
    assert words.sentence(said).endswith(dutch)
