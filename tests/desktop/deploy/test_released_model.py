"""The released model in a deploy to this computer: a small one under its name, from a hub on loopback."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import personaplex_server
from peers.hugging_face import Hub, running
from personadesk.app import Services
from personadesk.deploy.steps.check import CheckStep
from personadesk.deploy.steps.install import InstallStep
from personadesk.deploy.steps.model import ModelStep, released_folder, token_here
from personadesk.deploy.steps.room import RoomStep
from personadesk.domain.errors import AuthFailed
from personadesk.domain.plan import ModelChoice, ModelKind, Plan
from personadesk.domain.progress import DeployState, StepName
from personadesk.hosts.local import Computer, Gpu

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")
Open = Callable[..., Awaitable[Services]]
BIG = Computer(
    "Linux", "x86_64", "3.11.7", 2, 64 << 30, 48 << 30, (Gpu("RTX 4090", 25_757_220_864),)
)


def tensors(size: int) -> bytes:
    header = b'{"a": {"dtype": "U8", "shape": [%d], "data_offsets": [0, %d]}}' % (size, size)
    return struct.pack("<Q", len(header)) + header + random.Random(5).randbytes(size)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {
        "config.json": b"{}",
        "model.safetensors": tensors(600_000),
        "tokenizer-e351c8d8-checkpoint125.safetensors": tensors(50_000),
        "tokenizer_spm_32k_3.model": random.Random(6).randbytes(20_000),
    }
    with running(files) as one:
        monkeypatch.setenv("HF_ENDPOINT", one.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield one


@pytest.fixture
def deploy(harness: ModuleType, port: int, tmp_path: Path) -> Callable[..., Awaitable[Any]]:
    """Start a deploy of the released model on a computer that has the GPU for it."""
    python = tmp_path / "python"
    place = Path(personaplex_server.__file__).parents[1]
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)

    async def look() -> Computer:
        return BIG

    class WithServer(InstallStep):
        async def _remember(self, context: Any, environment: Any, package: Any) -> None:
            await super()._remember(context, environment, package)
            await context.remember(python=str(python))

    async def start(open_quick: Open, token: str | None) -> tuple[Services, Any]:
        async def give() -> str | None:
            return token

        def steps(places: Any) -> list[object]:
            quick = harness.quick_steps(places)
            room = quick[1]
            environments, bundle = room._environments, room._bundle_folder
            quick[:4] = [
                CheckStep(look),
                RoomStep(environments, bundle, lambda _folder: 100_000_000_000),
                WithServer(environments, bundle),
                ModelStep(give),
            ]
            return list(quick)

        services = await open_quick(make_steps=steps)
        plan = Plan("pd-1", port=port, model=ModelChoice(ModelKind.PERSONAPLEX_7B))
        return services, await services.deploys.start(plan)

    return start


async def test_it_is_fetched_and_put_behind_a_line(hub: Hub, deploy: Any, open_quick: Open) -> None:
    hub.weather.bytes_per_s = 400_000
    services, deployment = await deploy(open_quick, "hf_granted")
    told: list[tuple[str, float | None]] = []

    def note() -> None:
        step = deployment.step(StepName.MODEL)
        told.append((str(step.doing), step.fraction))

    deployment.subscribe(note)
    view = await deployment.wait()
    assert view.error is None
    assert view.state is DeployState.DONE
    folder = released_folder(services.folders)
    content = (folder / "model.safetensors").read_bytes()
    assert content == hub.files["model.safetensors"]
    assert "its content is as it should be" in str(deployment.step(StepName.MODEL).doing)
    assert any("a second" in words and 0 < (fraction or 0) < 1 for words, fraction in told)
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.facts["model"] == str(folder)
    assert "hf_granted" not in repr(record) + repr(deployment.log)

    hub.requests.clear()
    again = await (await services.deploys.resume("pd-1")).wait()
    assert again.error is None
    assert hub.requests == []
    await services.deploys.undo("pd-1")
    assert (folder / "model.safetensors").exists()


async def test_without_a_token_it_is_said_where_to_get_one(
    hub: Hub, deploy: Any, open_quick: Open
) -> None:
    _, deployment = await deploy(open_quick, None)
    view = await deployment.wait()
    assert view.state is DeployState.FAILED
    assert isinstance(view.error, AuthFailed)
    assert view.error.cause == "no_token"
    assert "https://huggingface.co/nvidia/personaplex-7b-v1" in str(view.error.next)
    assert "https://huggingface.co/settings/tokens" in str(view.error.next)


async def test_a_token_of_this_computer_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert await token_here() == "hf_mine"
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert await token_here() is None
