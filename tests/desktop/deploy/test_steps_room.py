from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

from personadesk.app import Services
from personadesk.deploy.steps.room import RoomStep
from personadesk.deploy.words import size
from personadesk.domain.errors import HostUnfit
from personadesk.domain.progress import DeployState

Open = Callable[..., Awaitable[Services]]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 kB"), (25_400_000, "25 MB"), (690_000_000, "690 MB"), (3_400_000_000, "3.4 GB"),
     (120_000_000_000, "120 GB"), (2_500_000_000_000, "2.5 TB")],
)  # fmt: skip
def test_sizes_are_written_as_disks_are_sold(count: int, words: str) -> None:
    assert str(size(count)) == words


def _steps(
    harness: ModuleType, free: int, bundle: Path | None = None
) -> Callable[[object], list[object]]:
    def make(places: object) -> list[object]:
        steps = harness.quick_steps(places)
        folder = bundle or steps[1]._bundle_folder
        steps[1] = RoomStep(steps[1]._environments, folder, lambda _folder: free)
        return steps  # type: ignore[no-any-return] # the harness is loaded by path

    return make


async def test_a_full_disk_is_told_with_what_is_needed_and_free(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(make_steps=_steps(harness, 12_000_000))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.state is DeployState.FAILED
    assert isinstance(view.error, HostUnfit)
    assert view.error.cause == "disk_full"
    assert "12 MB is free" in str(view.error.what)
    assert "PERSONADESK_HOME" in str(view.error.next)


async def test_the_second_time_nothing_new_is_needed(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(make_steps=_steps(harness, 5_000_000_000))
    first = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert "is needed, 5.0 GB is free" in str(first.steps[1].doing)
    again = await (await services.deploys.resume("pd-1")).wait()
    assert str(again.steps[1].doing) == "nothing new is needed, 5.0 GB is free"


async def test_a_package_that_is_missing_is_told_by_the_deploy_not_by_the_program(
    open_quick: Open, harness: ModuleType, model: Path, port: int, tmp_path: Path
) -> None:
    services = await open_quick(make_steps=_steps(harness, 5_000_000_000, tmp_path / "none"))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert isinstance(view.error, HostUnfit)
    assert view.error.cause == "no_bundle"


async def test_a_folder_in_the_way_is_told(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick()
    (services.folders.data / "models").write_text("in the way")
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert isinstance(view.error, HostUnfit)
    assert view.error.cause == "not_writable"
