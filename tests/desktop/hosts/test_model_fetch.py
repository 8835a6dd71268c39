"""A model fetched by the server's command in a process of its own, from a hub on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import personaplex_server
from peers.hugging_face import REPO, running
from personadesk.domain.errors import (
    AuthFailed,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    RateLimited,
    Unreachable,
)
from personadesk.domain.model_fetch import FetchPhase, FetchProgress, fault_of, progress_of
from personadesk.hosts import commands, model_fetch
from personadesk.hosts.commands import Completed
from personadesk.hosts.model_fetch import ThisComputer, Wanted
from personaplex_server.fetch import faults
from personaplex_server.fetch.report import Reporter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")
NOISE = random.Random(3)
FILES = {
    "config.json": b"{}",
    "model.safetensors": NOISE.randbytes(300_000),
    "tokenizer-e351c8d8-checkpoint125.safetensors": NOISE.randbytes(30_000),
    "tokenizer_spm_32k_3.model": NOISE.randbytes(20_000),
}


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A Python that has the server which is tested, as an environment on a host would."""
    program = tmp_path / "python"
    place = Path(personaplex_server.__file__).parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return str(program)


class Told:
    """Notes all that is told."""

    def __init__(self) -> None:
        self.progress: list[FetchProgress] = []
        self.lines: list[str] = []

    async def fetch(
        self,
        wanted: Wanted,
        url: str,
        token: str | None = "hf_granted",  # noqa: S107 - a stand-in's
    ) -> model_fetch.Fetched:
        return await model_fetch.fetch(
            ThisComputer(), wanted, token=token, on_progress=self.progress.append,
            on_line=self.lines.append, env={"HF_ENDPOINT": url}, limit_s=60,
        )  # fmt: skip


async def test_a_model_is_fetched_and_its_progress_told(python: str, tmp_path: Path) -> None:
    told, folder = Told(), tmp_path / "model"
    with running(FILES) as hub:
        hub.weather.bytes_per_s = 400_000
        fetched = await told.fetch(Wanted(python, str(folder)), hub.url)
        again = await told.fetch(Wanted(python, str(folder)), hub.url, token=None)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    total = sum(map(len, FILES.values()))
    assert (fetched.size, fetched.fetched, fetched.voices) == (total, total, 0)
    assert again.fetched == 0
    assert fetched.commit == again.commit == hub.commit
    phases = [each.phase for each in told.progress]
    assert phases[0] is FetchPhase.LOOKING
    assert FetchPhase.CHECKING in phases
    moving = [each for each in told.progress if each.phase is FetchPhase.FETCHING]
    assert moving[-1].fraction == 1.0
    assert any(each.rate and each.left_s is not None for each in moving)
    assert told.lines == []


async def test_a_cancelled_fetch_goes_on_later(python: str, tmp_path: Path) -> None:
    told, folder = Told(), tmp_path / "model"
    with running(FILES | {"model.safetensors": NOISE.randbytes(2_000_000)}) as hub:
        hub.weather.bytes_per_s = 400_000
        work = asyncio.create_task(told.fetch(Wanted(python, str(folder)), hub.url))
        while not any(each.done > 400_000 for each in told.progress):
            await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        hub.weather.bytes_per_s = None
        fetched = await told.fetch(Wanted(python, str(folder)), hub.url)
    assert 0 < fetched.fetched < fetched.size - 200_000


@pytest.mark.parametrize(
    ("token", "kind", "cause"),
    [(None, AuthFailed, "no_token"), ("hf_stranger", AuthFailed, "gated"),
     ("hf_wrong", AuthFailed, "bad_token")],
)  # fmt: skip
async def test_refusals_are_told_with_what_to_do(
    python: str, tmp_path: Path, token: str | None, kind: type[PersonaDeskError], cause: str
) -> None:
    with running(FILES) as hub, pytest.raises(kind) as caught:
        await Told().fetch(Wanted(python, str(tmp_path / "m")), hub.url, token)
    assert caught.value.cause == cause
    assert "https://huggingface.co/" in str(caught.value.next)
    assert "{" not in f"{caught.value.what}{caught.value.next}"
    assert caught.value.next.template != str(caught.value.next)


async def test_a_model_that_is_not_there_is_told(python: str, tmp_path: Path) -> None:
    with running(FILES) as hub, pytest.raises(NotFound, match="nobody/nothing"):
        await Told().fetch(Wanted(python, str(tmp_path / "m"), "nobody/nothing"), hub.url)


async def test_a_server_that_knows_no_fetching_is_told(tmp_path: Path) -> None:
    told = Told()
    program = tmp_path / "old"
    program.write_text("#!/bin/sh\necho 'invalid choice: fetch-model' >&2\nexit 2\n")
    program.chmod(0o755)
    with pytest.raises(ProviderFault, match="could not be fetched") as caught:
        await told.fetch(Wanted(str(program), str(tmp_path / "m")), "http://127.0.0.1:9")
    assert "invalid choice" in caught.value.details
    assert told.lines == ["invalid choice: fetch-model"]


class Scripted:
    """A machine that answers as it is told to."""

    def __init__(self, *lines: str, code: int = 0) -> None:
        self.lines, self.code = lines, code
        self.argv: list[str] = []
        self.stdin = b""

    async def run(
        self, argv: Sequence[str], *, limit_s: float,
        on_line: Callable[[str], None] | None = None, stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Completed:  # fmt: skip
        self.argv, self.stdin = list(argv), stdin
        if self.code == -1:
            raise commands.CommandTimeout(argv, limit_s)
        for line in self.lines:
            if on_line is not None:
                on_line(line)
        return Completed(self.code, self.lines)


DONE = json.dumps(
    {"event": "done", "folder": "/m", "commit": "c", "size": 5, "fetched": 0, "voices": 18}
)


async def _scripted(machine: Scripted) -> model_fetch.Fetched:
    return await model_fetch.fetch(
        machine, Wanted("py", "/m", REPO, "v1"), token="hf_secret", on_progress=lambda _: None
    )


async def test_the_token_is_on_no_command_line() -> None:
    machine = Scripted(DONE)
    assert (await _scripted(machine)).voices == 18
    assert machine.stdin == b"hf_secret\n"
    assert "hf_secret" not in " ".join(machine.argv)
    assert machine.argv[-3:] == ["--revision", "v1", "--token-stdin"]


async def test_lines_of_a_newer_server_do_no_harm() -> None:
    machine = Scripted(
        '{"event": "progress", "phase": "dreaming"}', '{"a": 1}', "{torn", '{"event": "news"}', DONE
    )
    assert (await _scripted(machine)).size == 5


async def test_an_end_without_a_word_is_told() -> None:
    with pytest.raises(ProviderFault, match="could not be fetched") as caught:
        await _scripted(Scripted(code=137))
    assert "137" in caught.value.details
    with pytest.raises(ProviderFault):
        await _scripted(Scripted())


async def test_a_fetch_without_end_is_told() -> None:
    with pytest.raises(Unreachable) as caught:
        await _scripted(Scripted(code=-1))
    assert caught.value.cause == "model_timeout"


EVERY = [
    (faults.no_token("a/b"), AuthFailed), (faults.gated("a/b"), AuthFailed),
    (faults.pending("a/b"), AuthFailed), (faults.bad_token(), AuthFailed),
    (faults.weak_token("a/b"), AuthFailed), (faults.no_repo("a/b", with_token=True), NotFound),
    (faults.no_revision("a/b", "v9"), NotFound), (faults.no_file("a/b", "f"), NotFound),
    (faults.unreachable("h"), Unreachable), (faults.unreachable("h", timed_out=True), Unreachable),
    (faults.hub_fault("h", 500), ProviderFault), (faults.hub_fault("h", 429), RateLimited),
    (faults.disk_full("/d", 5 * 10**9, 10**9), HostUnfit), (faults.files(OSError(28, "full")), HostUnfit),
    (faults.files(OSError(13, "Permission denied")), HostUnfit),
    (faults.hash_mismatch("f", "a", "b"), ProviderFault), (faults.bad_archive("f", "x"), ProviderFault),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind"), EVERY, ids=lambda each: getattr(each, "cause", ""))
def test_every_fault_of_the_server_is_known_here(
    fault: faults.FetchError, kind: type[PersonaDeskError], capsys: pytest.CaptureFixture[str]
) -> None:
    Reporter(as_json=True, secret=None).error(fault)
    error = fault_of(json.loads(capsys.readouterr().out))
    assert type(error) is kind
    assert error.cause == fault.cause
    assert error.details == fault.details
    shown = f"{error.what} {error.next}"
    assert error.next
    assert "{" not in shown
    for value in (each for each in fault.values.values() if isinstance(each, str)):
        assert value in f"{shown} {fault.what}"


def test_a_fault_that_is_not_known_is_told_in_the_servers_words() -> None:
    error = fault_of({"cause": "moon", "message": "The moon is full.", "next": "Wait."})
    assert (type(error), str(error.what), str(error.next)) == (
        ProviderFault, "The moon is full.", "Wait.",
    )  # fmt: skip
    error = fault_of({"cause": "gated", "message": "No.", "next": "Ask.", "link": "l"})
    assert (type(error), str(error.what)) == (AuthFailed, "No.")


def test_progress_without_a_total_has_no_fraction() -> None:
    progress = progress_of({"phase": "looking"})
    assert progress is not None
    assert progress.fraction is None
    assert progress_of({"phase": "unheard of"}) is None


async def test_our_tokens_are_in_no_childs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code = "import os; print('hf_secret' in str(os.environ))"
    done = await ThisComputer().run([sys.executable, "-c", code], limit_s=20)
    assert done.lines == ("False",)


async def test_a_command_is_given_what_it_shall_read() -> None:
    code = "import sys; print(sys.stdin.read().upper())"
    done = await commands.run([sys.executable, "-c", code], limit_s=20, stdin=b"secret\n")
    assert done.lines == ("SECRET",)
    assert done.code == 0


async def test_a_command_that_does_not_read_is_not_disturbed() -> None:
    done = await commands.run(
        [sys.executable, "-c", "print('done')"], limit_s=20, stdin=os.urandom(4096)
    )
    assert (done.code, done.lines) == (0, ("done",))
