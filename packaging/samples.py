"""Made-up but honest data for pictures and tests of the window: deploys in each state, reports, calls.

Figures and sentences are of the kind that real runs gave; nothing here is shown to a user.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from personadesk.domain import fitness
from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.host import (
    GpuFact,
    HostCheck,
    HostFacts,
    HostKey,
    HostRecord,
    KeySource,
    PlaceFact,
    PythonFact,
    Reach,
    SshAddress,
)
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.plan import RENT, ModelChoice, ModelKind, Plan, RentWish, place_on
from personadesk.domain.progress import (
    DeployState,
    DeployView,
    LogLine,
    StepName,
    StepState,
    StepView,
)
from personadesk.domain.report import (
    FURTHER_LIMITS,
    Verdict,
    VoiceReport,
    conclude,
    judge,
    reason,
)
from personadesk.domain.text import T, Text
from personadesk.hosts.local import Computer, Gpu
from personadesk.store.rentals import Rental, RentalState
from personadesk.voice.devices import Device, Devices
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personadesk.voice.transcript import Line as Spoken

STARTED = 1_795_438_800.0
"""23 November 2026, 13:00 UTC."""

PLAN = Plan("pd-7c41a09e", "Front desk", 8998)
FOLDER_PLAN = Plan(
    "pd-0b2f6d11", "Practice", 8999, ModelChoice(ModelKind.FOLDER, "/models/personaplex-7b")
)
COMPUTER = Computer("Linux", "x86_64", "3.11.9", 8, 32 * 1024**3, 20 * 1024**3)
BIG_COMPUTER = replace(COMPUTER, gpus=(Gpu("NVIDIA GeForce RTX 4090", 24 * 1024**3),))
DEVICES = Devices(
    (Device("USB headset, microphone", True), Device("Built-in microphone")),
    (Device("USB headset, earphones", True), Device("Built-in speakers")),
)
NO_DEVICES = Devices(
    reason=T("No microphone found. Use the built-in clip, or plug one in and press Look again.")
)

HOST_PLAN = replace(PLAN, id="pd-51d0c3aa", line="Museum guide", place=place_on("studio"))
STUDIO = HostRecord(
    "studio", SshAddress("192.168.1.20", 22, "anna"), KeySource.FILE, "/home/anna/.ssh/id_ed25519"
)
ATTIC = HostRecord("attic", SshAddress("attic.example.org", 2222, "anna"), KeySource.OURS)
CELLAR = HostRecord("cellar", SshAddress("10.0.0.7"), KeySource.AGENT)
OFFERS = tuple(
    Offer(
        account, provider, f"{gpu}-{place}", gpu, memory, region=place.lower(), place=place, price=price,
        stock=stock, asked=STARTED, estimated=estimated, price_date="2026-11-01" if estimated else "",
    )
    for account, provider, gpu, memory, place, price, stock, estimated in (
        ("Lambda", "lambda", "A10", 24, "Arizona", 0.75, Stock.HIGH, False),
        ("RunPod", "runpod", "RTX 4090", 24, "Netherlands", 0.44, Stock.LOW, False),
        ("Vast.ai", "vast", "RTX 4090", 24, "Norway", 0.38, Stock.MEDIUM, False),
        ("Lambda", "lambda", "RTX A6000", 48, "Texas", 0.80, Stock.HIGH, False),
        ("Paperspace", "paperspace", "A5000", 24, "New York", 1.38, Stock.UNKNOWN, True),
        ("Lambda", "lambda", "A100", 40, "Virginia", 1.29, Stock.NONE, False),
        ("DigitalOcean", "digitalocean", "L40S", 48, "Toronto", 1.57, Stock.HIGH, False),
        ("Lambda", "lambda", "H100", 80, "Texas", 3.29, Stock.HIGH, False),
    )
)  # fmt: skip
RENT_PLAN = Plan(
    "pd-93ce1f70", "Support demo", 8999, ModelChoice(ModelKind.PERSONAPLEX_7B), RENT,
    rent=RentWish(offers=(OFFERS[0].key,), max_price=2.0, spend_limit=10.0),
)  # fmt: skip
RENTAL = Rental(
    RENT_PLAN.id,
    1,
    "Lambda",
    "lambda",
    OFFERS[0],
    RentalState.MADE,
    "i-0a1b",
    0.75,
    STARTED,
    STARTED,
)


HOST_KEY = HostKey(
    "ssh-ed25519",
    "AAAAC3NzaC1lZDI1NTE5AAAAIGd7lDyYXOqC2Q8J9yD0Yk0oMqmVx8mC0C1s6B1h2s7e",
    "SHA256:o5yAg9Qv2cq1nT8yJXr3gk4eWzVwYdB0uKfLh7mRt2E",
)
OTHER_KEY = HostKey(
    "ssh-ed25519",
    "AAAAC3NzaC1lZDI1NTE5AAAAIJm2Vw7r1Qk9H4dXz0pTq8sYb3cLf6nGvA5eUoKjWi1R",
    "SHA256:Zr8dK1xTnW4qPj6cHy0mVb9sLe3uGf7aQo2iXk5tRwA",
)


def host_facts(gpu: str = "NVIDIA GeForce RTX 4090", gigabytes: int = 24) -> HostFacts:
    """Return what a well-kept workstation says of itself; without a GPU when `gpu` is empty."""
    size = gigabytes * 1024**3
    return HostFacts(
        system="Linux",
        distribution="Ubuntu 24.04",
        machine="x86_64",
        kernel="6.8.0",
        libc="glibc",
        libc_version=(2, 39),
        user="anna",
        home="/home/anna",
        cores=16,
        memory_bytes=64 * 1024**3,
        memory_free_bytes=51 * 1024**3,
        gpus=(GpuFact(0, gpu, size, "8.9"),) if gpu else (),
        driver="580.82.07" if gpu else "",
        cuda="13.0" if gpu else "",
        pythons=(
            PythonFact("/usr/bin/python3", (3, 12, 3), makes_environments=True, has_pip=True),
        ),
        places=(PlaceFact("/home/anna", 612 * 1024**3, writable=True),),
        systemd=True,
        user_units=True,
        lingers=True,
        cron=True,
        registry=Reach.YES,
        hub=Reach.YES,
        seconds=1.4,
    )


def host_check(kind: str = "fit") -> HostCheck:
    """Return a check of that verdict (`fit`, `warn` or `unfit`), judged by the real rules."""
    facts = host_facts()
    if kind == "warn":
        facts = replace(host_facts("NVIDIA GeForce RTX 3060", 12), lingers=False)
    elif kind == "unfit":
        facts = replace(
            host_facts(""),
            libc_version=(2, 17),
            distribution="CentOS Linux 7",
            pythons=(PythonFact("/usr/bin/python3", (3, 6, 8)),),
        )
    found = fitness.judge(facts)
    if found.verdict != kind:
        raise ValueError(f"the sample is judged {found.verdict}")
    return found


_STEPS = (
    (StepName.CHECK, T("Check the computer"), 0.3,
     T("{cores} cores, {memory} of memory free, no NVIDIA GPU", cores=8, memory="20.1 GB")),
    (StepName.ROOM, T("Make room"), 0.1,
     T("{needed} is needed, {free} is free", needed="690 MB", free="84.3 GB")),
    (StepName.INSTALL, T("Install the voice server"), 14.0,
     T("version {version}, with the torch {torch} of this computer", version="0.1.0", torch="2.13.0")),
    (StepName.MODEL, T("Get the model"), 5.0,
     T("rehearsal model made ({size}); it is untrained and babbles", size="28 MB")),
    (StepName.START, T("Start"), 1.0, T("it listens on port {port}", port="41873")),
    (StepName.READY, T("Wait until it is ready"), 4.0,
     T("ready on {device}, {dtype}", device="cpu", dtype="float32")),
    (StepName.VOICE_TEST, T("Voice test"), 7.0, T("It works. You can talk.")),
    (StepName.LINE, T("Put behind the line"), 1.0,
     T("{url} leads to it", url="ws://127.0.0.1:8998/api/chat")),
)  # fmt: skip
_RENT_STEPS = (
    (StepName.RENT, T("Rent GPU"), 5.0, T("{gpu}, {provider}, {place}, {price}", gpu="A10",
     provider="Lambda", place="Arizona", price="$0.75 /h")),
    (StepName.BOOT, T("Wait for machine"), 90.0, T("{machine} lets us in at {address}",
     machine="pd-93ce1f70", address="192.0.2.17:22")),
)  # fmt: skip
_RENT_TOOK = (3.1, 107.0)
_TOOK = (0.3, 0.1, 13.2, 4.6, 0.8, 3.4, 6.9, 0.2)


def deploy(done: int, plan: Plan = PLAN, fraction: float = 0.4) -> DeployView:
    """Return a deploy that runs, with so many steps done."""
    steps = []
    known, took = (_STEPS, _TOOK)
    if plan.rent is not None:
        known, took = (_RENT_STEPS + _STEPS, _RENT_TOOK + _TOOK)
    for index, (name, title, expected, told) in enumerate(known):
        step = StepView(name, title, expected=expected)
        if index < done:
            step = replace(step, state=StepState.DONE, doing=told, seconds=took[index])
        elif index == done:
            step = replace(
                step,
                state=StepState.RUNNING,
                doing=T("installing what the server needs"),
                fraction=fraction,
                seconds=took[index] * fraction,
            )
        steps.append(step)
    passed = sum(took[:done]) + (took[done] * fraction if done < len(took) else 0)
    return DeployView(plan, DeployState.RUNNING, tuple(steps), STARTED, passed)


def failed_deploy(plan: Plan = PLAN) -> DeployView:
    """Return a deploy that failed at its first step: the port is taken."""
    error = BadRequest(
        T("Port {port} is taken by {owner}.", port="8998", owner="python3 (pid 4711)"),
        T("Choose another port, or close that program."),
        cause="port_taken",
        details="OSError: [Errno 98] Address already in use: ('127.0.0.1', 8998)",
    )
    view = deploy(0, plan)
    first = replace(view.steps[0], state=StepState.FAILED, error=error, fraction=None)
    return replace(
        view, state=DeployState.FAILED, steps=(first, *view.steps[1:]), error=error, seconds=0.3
    )


def interrupted_deploy(plan: Plan = FOLDER_PLAN) -> DeployView:
    """Return a deploy whose process died while it installed."""
    view = deploy(2, plan)
    cut = replace(view.steps[2], state=StepState.CANCELLED, fraction=None)
    steps = (*view.steps[:2], cut, *view.steps[3:])
    return replace(view, state=DeployState.INTERRUPTED, steps=steps)


def report(verdict: Verdict = Verdict.PASS, *, rehearsal: bool = True) -> VoiceReport:
    """Return a report of that verdict, judged by the real rules."""
    values: dict[str, float | int | str | bool | None] = {
        "connect_s": 0.06, "handshake_s": 0.03, "first_audio_s": 0.39, "real_time_factor": 0.16,
        "late_percent": 0.0, "gap_p99_ms": 14.1, "gap_p50_ms": 0.3, "gap_p95_ms": 7.4,
        "level_dbfs": -22.9, "silence_percent": 4.0, "clean_close": True, "heard_anything": True,
    }  # fmt: skip
    if verdict is Verdict.WARN:
        values["gap_p99_ms"] = 52.0
    elif verdict is Verdict.FAIL:
        values.update(real_time_factor=1.42, late_percent=31.5, gap_p99_ms=412.0)
    figures, further = judge(values), judge(values, FURTHER_LIMITS)
    found, sentence = conclude(figures, heard=True, further=further)
    if found is not verdict:
        raise ValueError(f"the sample is judged {found}")
    heard = speech(0.4, 6.0, 6.0, seed=5) if rehearsal else speech(3.4, 5.9, 6.0, seed=5)
    explanation = T(
        "The test clip was spoken, and the rehearsal model answered after {seconds} seconds. It is "
        "untrained, so it babbles.",
        seconds=0.39,
    )
    if not rehearsal:
        explanation = T(
            "The test clip was spoken, and the voice answered after {seconds} seconds. Nothing was missed.",
            seconds=0.39,
        )
    if verdict is not Verdict.PASS:
        explanation = sentence
    return VoiceReport(
        verdict=verdict,
        sentence=sentence,
        explanation=explanation,
        figures=figures,
        further=further,
        values=values,
        reasons=tuple(reason(f) for f in (*figures, *further) if f.verdict is not Verdict.PASS),
        url="ws://127.0.0.1:41873/api/chat",
        started=STARTED,
        text="need will these been form these many boy same" if rehearsal
        else "Good afternoon, yes, I can hear you well. How can I help you today?",
        sent_wave=speech(0.3, 2.9, 6.0, seed=2),
        heard_wave=heard,
        engine="personaplex",
        rehearsal=rehearsal,
        clip="question.wav",
    )  # fmt: skip


def finished_deploy(verdict: Verdict = Verdict.PASS, plan: Plan = PLAN) -> DeployView:
    """Return a deploy that ended with a voice test of that verdict."""
    view = deploy(len(_STEPS) + (len(_RENT_STEPS) if plan.rent is not None else 0), plan)
    found = report(verdict, rehearsal=plan.model.kind is ModelKind.REHEARSAL)
    line = Line(plan.line, plan.port).url
    if verdict is not Verdict.FAIL:
        return replace(
            view, state=DeployState.DONE, report=found, line_url=line, report_dir="/reports/one"
        )
    error = HostUnfit(
        found.sentence,
        T("Close other programs and try again; the report shows what was slow."),
        cause="voice_slow",
    )
    steps = [*deploy(6, plan).steps]
    steps[6] = replace(steps[6], state=StepState.FAILED, error=error, fraction=None)
    return replace(
        view, state=DeployState.FAILED, steps=tuple(steps), error=error, report=found,
        report_dir="/reports/one",
    )  # fmt: skip


def log() -> tuple[LogLine, ...]:
    """Return what an installation says."""
    told = (
        ("check", "8 cores, 20.1 GB of memory free, no NVIDIA GPU", False),
        ("check", "port 8998 is free", False),
        ("room", "690 MB is needed, 84.3 GB is free", False),
        ("install", "looking for a torch that is here already", False),
        ("install", "torch 2.13.0 of this computer fits", False),
        ("install", "making an environment of its own", False),
        ("install", "Collecting numpy==2.4.6", False),
        ("install", "Collecting sentencepiece==0.2.1", False),
        ("install", "Collecting sphn==0.2.1", False),
        ("install", "the registry is slow: 12 s without an answer, trying again", True),
        ("install", "Collecting starlette==1.10.0", False),
        ("install", "Collecting uvicorn==0.54.0", False),
        ("install", "Collecting websockets==17.4", False),
        ("install", "Installing collected packages: numpy, websockets, uvicorn, starlette", False),
    )
    return tuple(
        LogLine(STARTED + 0.7 * index, source, text, warning)
        for index, (source, text, warning) in enumerate(told)
    )


def line(name: str = "Front desk", port: int = 8998, state: LineState = LineState.UP) -> Line:
    """Return a line."""
    reasons = {
        LineState.FAILED: "The voice server does not stay up: it ran out of memory.",
        LineState.STARTING: "The voice server is starting.",
    }
    return Line(
        name,
        port,
        Target("ws://127.0.0.1:41873/api/chat", PLAN.id),
        state,
        STARTED,
        Text(reasons.get(state, "")),
    )


def host_line() -> Line:
    """Return a line whose voice runs on the machine “studio”."""
    target = Target("ws://127.0.0.1:41990/api/chat", HOST_PLAN.id)
    return Line(HOST_PLAN.line, 8999, target, LineState.UP, STARTED)


def rent_line() -> Line:
    """Return a line whose voice runs on a rented machine."""
    target = Target("ws://127.0.0.1:41991/api/chat", RENT_PLAN.id)
    return Line(RENT_PLAN.line, RENT_PLAN.port, target, LineState.UP, STARTED)


def call(state: TalkState = TalkState.IN_CALL) -> TalkSnapshot:
    """Return a conversation at one moment."""
    on = state is TalkState.IN_CALL
    failed = state is TalkState.FAILED
    snapshot = TalkSnapshot(
        state=state,
        seconds=41.0 if on else 0.0,
        mic_level_dbfs=-19.0 if on else -96.0,
        speaker_level_dbfs=-31.0 if on else -96.0,
        you_wave=speech(0.4, 3.2, 12.0, seed=2),
        voice_wave=speech(4.0, 10.5, 12.0, seed=5),
        lag_ms=137.0 if on else None,
        frames=512 if on else 0,
        late=1 if on else 0,
        speaker=on,
        transcript=(
            Spoken(3.1, "voice", "Good afternoon, Harbour Museum, this is Noor speaking."),
            Spoken(7.4, "you", T("spoke for {seconds} s", seconds=2.9)),
            Spoken(
                10.6,
                "voice",
                "Yes, we are open until five o'clock today. Tickets are twelve euros, and children "
                "under six come in for free.",
            ),
            Spoken(18.2, "you", T("spoke for {seconds} s", seconds=1.8)),
            Spoken(20.3, "voice", "Oh, certainly, a dog is very welcome, on the lead."),
        )
        if on
        else (),
    )
    if failed:
        return replace(
            snapshot,
            reason=T("Nothing listens at {place}.", place="127.0.0.1:8998"),
            next=T("See whether the voice server runs, and whether the port is right."),
            details="ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 8998)",
        )
    return snapshot


def speech(
    start: float, end: float, seconds: float, *, seed: int, step: float = 0.04
) -> tuple[float, ...]:
    """Return peaks that look like spoken sentences."""
    dice = random.Random(seed)  # noqa: S311 - a picture, not a secret
    peaks = []
    for index in range(round(seconds / step)):
        at = index * step
        pause = math.sin(at * 2.3 + seed) < -0.75
        level = abs(math.sin(index / 3.1)) * dice.uniform(0.35, 1.0)
        peaks.append(level if start <= at < end and not pause else 0.0)
    return tuple(peaks)
