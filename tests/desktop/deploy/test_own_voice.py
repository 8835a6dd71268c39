"""A voice of one's own, brought to a line as it is deployed: by what its server wrote down, and by nothing else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from personadesk.deploy.steps.start import StartStep
from personadesk.domain.errors import AuthFailed, BadRequest, HostUnfit
from personadesk.domain.progress import DeployState
from personadesk.hosts.server_process import VOICES_TOKEN_FILE
from personadesk.voice import clips, voices
from personadesk.voice.client import VoiceClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from personadesk.app import Services
    from personadesk.domain.plan import Plan


@pytest.fixture
def rehearsal(tmp_path: Path) -> Path:
    """A rehearsal model as a deploy makes it."""
    folder = tmp_path / "rehearsal"
    subprocess.run(
        [sys.executable, "-m", "personaplex_server", "make-checkpoint", "--preset", "rehearsal", folder],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder


async def test_an_own_voice_is_brought_to_a_deployed_line_spoken_with_and_outlives_it(
    open_quick: Callable[..., Any],
    harness: ModuleType,
    rehearsal: Path,
    port: int,
    personadesk_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two threads that wait for each other on a busy computer would be slower than one.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def steps(places: object) -> list[Any]:
        made: list[Any] = harness.quick_steps(places)
        made[4] = StartStep()
        return made

    services = await open_quick(make_steps=steps)
    await _deployed(services, harness.make_plan("pd-1", port, rehearsal))
    first = await services.servers.get("pd-1")
    file = first.state_dir / VOICES_TOKEN_FILE
    token = file.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(AuthFailed):
        await voices.add(first.url, "Anna", clips.bundled())

    made = await services.add_voice(first.url, "Anna", clips.bundled())
    assert made.name == "Anna.wav"
    await _speaks(first.url, made.name)
    assert not (rehearsal / "voices" / made.name).exists()

    # A new deploy leads the line to another server, which has the voice too.
    await _deployed(services, harness.make_plan("pd-2", port, rehearsal))
    [line] = services.lines.lines()
    assert line.target is not None
    assert line.target.server_id == "pd-2"
    await _speaks(line.target.url, made.name)
    with pytest.raises(BadRequest) as refused:
        await services.add_voice(line.target.url, "anna", clips.bundled())
    assert refused.value.cause == "name_taken"
    kept = [path for path in personadesk_home.rglob("*") if path.is_file()]
    assert [path for path in kept if token.encode() in path.read_bytes()] in ([], [file])


async def test_a_line_that_was_deployed_before_voices_could_be_brought_says_what_to_do(
    open_quick: Callable[..., Any], harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick()
    await _deployed(services, harness.make_plan("pd-1", port, model))
    server = await services.servers.get("pd-1")
    # Such a server has no folder for voices, and wrote nothing down.
    assert await services.servers.voices_token("pd-1") is None
    with pytest.raises(HostUnfit) as refused:
        await services.add_voice(server.url, "Anna", clips.bundled())
    assert "Deploy its line again" in str(refused.value.next)


async def _deployed(services: Services, plan: Plan) -> None:
    view = await (await services.deploys.start(plan)).wait()
    assert view.state is DeployState.DONE, view.error


async def _speaks(url: str, name: str) -> None:
    """The voice is listed, and a call begins with it."""
    assert name in {each.name for each in (await voices.of_server(url)).voices}
    async with VoiceClient.connect(url, query={"voice_prompt": name}) as call:
        await call.handshake()
        assert (await call.hang_up()).code == 1000
