"""A deploy that takes a second: the real steps, journal, supervisor, echo server and line; no torch, no download.

As a script it runs one deploy and stops dead at a chosen moment, so that a test can kill it there:
    harness.py PLAN_ID PORT MODEL_DIR STEP before|inside|after|never [demo]
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import struct
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from personadesk.app import Services, open_services
from personadesk.deploy.model_folder import CODEC_FILE, LM_FILE, TEXT_FILE
from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.check import CheckStep
from personadesk.deploy.steps.install import InstallStep
from personadesk.deploy.steps.line import LineStep
from personadesk.deploy.steps.model import ModelStep
from personadesk.deploy.steps.ready import ReadyStep
from personadesk.deploy.steps.room import RoomStep
from personadesk.deploy.steps.start import StartStep
from personadesk.deploy.steps.voice_test import VoiceTestStep
from personadesk.domain.plan import ModelChoice, ModelKind, Plan
from personadesk.domain.report import Verdict, VoiceReport, judge
from personadesk.domain.text import T, Text
from personadesk.hosts import health
from personadesk.hosts.bundle import Bundle
from personadesk.hosts.installer import Report
from personadesk.hosts.python_env import MARKER, Environment, Environments
from personadesk.store.journal import Purpose
from personadesk.store.paths import Folders, folders
from personadesk.store.servers import ServerRecord

GOOD = {
    "connect_s": 0.01, "handshake_s": 0.1, "first_audio_s": 0.1, "real_time_factor": 0.1,
    "late_percent": 0.0, "gap_p99_ms": 1.0, "heard_anything": True,
}  # fmt: skip


class QuickEnvironments(Environments):
    """Environments that borrow everything from the Python that runs the tests."""

    def find(self, bundle: Bundle) -> Environment | None:
        folder = self.root / self.key(bundle)
        if not (folder / MARKER).exists():
            return None
        return Environment(folder, Path(sys.executable), "2.13.0", Path(sys.prefix))

    async def make(self, bundle: Bundle, *, gpu: bool, report: Report) -> Environment:
        folder = self.root / self.key(bundle)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        report.doing(T("installing what the server needs"), 0.5)
        (folder / MARKER).touch()
        found = self.find(bundle)
        assert found is not None
        return found

    async def clear_torn(self, bundle: Bundle) -> None:
        if self.find(bundle) is None:
            shutil.rmtree(self.root / self.key(bundle), ignore_errors=True)


def echo_command(context: Context, port: int) -> tuple[str, ...]:
    return (
        context.facts["python"], "-m", "personaplex_server", "serve", "--engine", "echo",
        "--host", "127.0.0.1", "--port", str(port),
        "--ready-file", str(context.state_dir / "ready.json"),
    )  # fmt: skip


def report_of(values: dict[str, float | bool], verdict: Verdict = Verdict.PASS) -> VoiceReport:
    return VoiceReport(
        verdict, T("It works. You can talk."), T("Nothing was missed."), judge(values), values
    )  # type: ignore[arg-type] # figures


async def quick_test(
    url: str, clip: str | None, folder: Path, on_progress: Callable[[float, Text], None]
) -> VoiceReport:
    on_progress(0.5, T("Asking the question"))
    folder.mkdir(parents=True, exist_ok=True)
    return report_of(GOOD)


class Paused(Step):
    """A step that stops at a moment and says so."""

    def __init__(self, inner: Step, moment: str, pause: Callable[[], object]) -> None:
        self.inner, self.moment, self.pause = inner, moment, pause
        self.name, self.title = inner.name, inner.title  # type: ignore[misc] # class attributes elsewhere
        self.limit_s = inner.limit_s

    async def done(self, context: Context) -> Text | None:
        return await self.inner.done(context)

    async def run(self, context: Context) -> Text:
        if self.moment == "before":
            await self._wait()
        if self.moment == "inside":
            context.servers.start = self._start_and_wait(context.servers.start)  # type: ignore[method-assign]
        result = await self.inner.run(context)
        if self.moment == "after":
            await self._wait()
        return result

    async def settle(self, context: Context) -> None:
        await self.inner.settle(context)

    async def undo(self, context: Context) -> bool:
        return await self.inner.undo(context)

    def _start_and_wait(
        self, start: Callable[[ServerRecord], Awaitable[None]]
    ) -> Callable[[ServerRecord], Awaitable[None]]:
        """The server answers, and the step has not heard of it yet."""

        async def started(server: ServerRecord) -> None:
            await start(server)
            while await health.ask(server.url) is None:
                await asyncio.sleep(0.05)
            await self._wait()

        return started

    async def _wait(self) -> None:
        self.pause()
        await asyncio.sleep(3600)


def quick_steps(places: Folders) -> list[Step]:
    environments = QuickEnvironments(places.cache / "environments")
    bundle_folder = make_bundle(places.cache / "bundle")
    return [
        CheckStep(),
        RoomStep(environments, bundle_folder),
        InstallStep(environments, bundle_folder),
        ModelStep(),
        StartStep(echo_command),
        ReadyStep(),
        VoiceTestStep(quick_test),
        LineStep(),
    ]


def pausing_steps(
    step: str, moment: str, pause: Callable[[], object]
) -> Callable[[Folders], Sequence[Step]]:
    def make(places: Folders) -> Sequence[Step]:
        return [Paused(s, moment, pause) if s.name == step else s for s in quick_steps(places)]

    return make


def make_bundle(folder: Path) -> Path:
    """Lay out a server package that nobody installs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.whl").write_bytes(b"wheel")
    for name in ("server.txt", "server-cpu.txt"):
        (folder / name).write_text("# nothing\n")
    manifest = {
        "wheel": "a.whl",
        "sha256": hashlib.sha256(b"wheel").hexdigest(),
        "version": "0.1.0",
        "requirements": "server.txt",
        "cpu_requirements": "server-cpu.txt",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def make_model(folder: Path) -> Path:
    """Lay out a folder that looks like a model to whoever does not load it."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    for name in (LM_FILE, CODEC_FILE):
        (folder / name).write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    (folder / TEXT_FILE).write_bytes(b"spm")
    return folder


def make_plan(plan_id: str, port: int, model: Path, line: str = "My line") -> Plan:
    return Plan(plan_id, line, port, ModelChoice(ModelKind.FOLDER, str(model)))


async def main(words: list[str]) -> None:
    plan_id, port, model, step, moment, *rest = words
    services: Services = await open_services(
        folders(),
        make_steps=pausing_steps(step, moment, lambda: print("PAUSED", flush=True)),
    )
    purpose = Purpose(rest[0]) if rest else Purpose.DEPLOY
    deployment = await services.deploys.start(
        make_plan(plan_id, int(port), Path(model)), purpose=purpose
    )
    view = await deployment.wait()
    print("ENDED", view.state, view.error, flush=True)
    await services.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
