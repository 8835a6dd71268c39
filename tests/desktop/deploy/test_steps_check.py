from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from personadesk.app import Services
from personadesk.deploy.steps import check
from personadesk.domain.errors import BadRequest, HostUnfit, PersonaDeskError
from personadesk.domain.line import Line
from personadesk.domain.plan import ModelChoice, ModelKind, Plan
from personadesk.domain.progress import DeployState, StepState
from personadesk.hosts.local import Computer, Gpu

Open = Callable[..., Awaitable[Services]]
HERE = Computer("Linux", "x86_64", "3.11.7", 2, 16 << 30, 8 << 30)
PLAN = Plan("pd-1")


async def _failure(
    open_quick: Open, harness: ModuleType, plan: Plan, computer: Computer = HERE
) -> PersonaDeskError:
    async def look() -> Computer:
        return computer

    def steps(places: object) -> list[object]:
        return [check.CheckStep(look), *harness.quick_steps(places)[1:]]

    services = await open_quick(make_steps=steps)
    view = await (await services.deploys.start(plan)).wait()
    assert view.state is DeployState.FAILED
    assert view.steps[0].state is StepState.FAILED
    assert view.steps[1].state is StepState.WAITING
    assert view.error is not None
    assert view.error.next
    return view.error


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"line": ""}, "bad_name"), ({"line": "   "}, "bad_name"), ({"line": "x" * 41}, "bad_name"),
        ({"line": "a\nb"}, "bad_name"), ({"port": 80}, "bad_port"), ({"port": 70000}, "bad_port"),
        ({"port": -1}, "bad_port"), ({"place": "moon"}, "bad_place"),
        ({"model": ModelChoice(ModelKind.FOLDER)}, "no_folder"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(change: dict[str, object], cause: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check.check_plan(replace(PLAN, **change))  # type: ignore[arg-type] # fields of Plan
    assert caught.value.cause == cause
    assert caught.value.next


def test_a_good_plan_passes() -> None:
    check.check_plan(replace(PLAN, line="Réception 2"))


async def test_a_taken_port_is_told_before_anything_is_done(
    open_quick: Open, harness: ModuleType, model: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = await _failure(open_quick, harness, harness.make_plan("pd-1", port, model))
    assert error.cause == "port_taken"
    assert str(port) in str(error.what)


async def test_a_port_of_another_line_is_told_by_its_name(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(serve_lines=False)
    await services.lines._store.put(Line("Front desk", port))
    error = await _failure(open_quick, harness, harness.make_plan("pd-1", port, model))
    assert str(error.what) == f"Port {port} belongs to the line “Front desk”."


@pytest.mark.parametrize(
    ("gpus", "kind", "words"),
    [
        ((), HostUnfit, "no NVIDIA GPU"),
        ((Gpu("RTX 4080", 16_000_000_000),), HostUnfit, "RTX 4080 has 16.0 GB"),
        ((Gpu("GB10", None),), HostUnfit, "GB10"),
        ((Gpu("L4", 24_500_000_000),), BadRequest, "cannot be fetched"),
    ],
)
async def test_the_released_model_needs_its_gpu(
    open_quick: Open, harness: ModuleType, port: int, gpus: tuple[Gpu, ...],
    kind: type[PersonaDeskError], words: str,
) -> None:  # fmt: skip
    plan = Plan("pd-1", port=port, model=ModelChoice(ModelKind.PERSONAPLEX_7B))
    error = await _failure(open_quick, harness, plan, replace(HERE, gpus=gpus))
    assert isinstance(error, kind)
    assert words in str(error.what)


async def test_too_little_memory_is_told_with_figures(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    small = replace(HERE, memory_free_bytes=300_000_000)
    error = await _failure(open_quick, harness, harness.make_plan("pd-1", port, model), small)
    assert error.cause == "memory"
    assert "300 MB is free" in str(error.what)


async def test_a_big_model_without_a_gpu_is_refused(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    with (model / "tokenizer_spm_32k_3.model").open("r+b") as file:
        file.truncate(5_000_000_000)  # a hole; it takes no room
    error = await _failure(open_quick, harness, harness.make_plan("pd-1", port, model))
    assert isinstance(error, HostUnfit)
    assert "5.0 GB" in str(error.what)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"not a sound at all, only words" * 10, "WAV"), (None, "clip")],
)
async def test_a_clip_that_is_none_is_told_before_anything_is_started(
    open_quick: Open, harness: ModuleType, model: Path, port: int, tmp_path: Path,
    content: bytes | None, words: str,
) -> None:  # fmt: skip
    clip = tmp_path / "clip.wav"
    if content is not None:
        clip.write_bytes(content)
    plan = replace(harness.make_plan("pd-1", port, model), clip=str(clip))
    error = await _failure(open_quick, harness, plan)
    assert isinstance(error, PersonaDeskError)
    assert words.lower() in f"{error.what} {error.next}".lower()
