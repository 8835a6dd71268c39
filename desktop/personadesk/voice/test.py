"""The voice test: speak a clip to a server in real time, listen, and judge what came back.

"Running" at a provider is not "ready"; only a spoken question with an answer proves a voice. Everything with a
clock runs in a real-time thread, everything that computes afterwards elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from personadesk.domain import report as reports
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.report import Verdict, VoiceReport
from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice import address as addresses
from personadesk.voice import clips, facts, faults, realtime
from personadesk.voice.client import (
    AudioIn,
    Closed,
    ErrorIn,
    MetadataIn,
    TextIn,
    VoiceClient,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from personadesk.domain.report import Figure
    from personadesk.voice.clips import Clip
    from personadesk.voice.facts import ServerFacts
    from personadesk.voice.mouth import Mouth
    from personadesk.voice.recording import Recording
    from personadesk.voice.script import Script

    Progress = Callable[[float, Text], None]

SECONDS_AFTER: Final = 3.0
"""How long is listened after the question: enough for an answer to begin, short enough to wait for."""
CONNECT_SECONDS: Final = 10.0
HANDSHAKE_SECONDS: Final = 60.0
"""The reference server reads a persona for 6 to 25 seconds."""
DIED_SECONDS: Final = 1.0
"""A voice that sends nothing for so long at the end is dead: twelve frames are missing."""
_PINGS_EVERY: Final = 1.0
_SLACK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Waits:
    """How long is waited for what, in seconds.

    Attributes:
        connect: For the socket.
        handshake: For "start talking".
        after: How long is listened after the clip.
    """

    connect: float = CONNECT_SECONDS
    handshake: float = HANDSHAKE_SECONDS
    after: float = SECONDS_AFTER


async def run_voice_test(
    url: str,
    *,
    clip: Path | Clip | None = None,
    script: Script | None = None,
    token: str | None = None,
    query: Mapping[str, str] | None = None,
    seconds_after: float = SECONDS_AFTER,
    connect_timeout: float = CONNECT_SECONDS,
    handshake_timeout: float = HANDSHAKE_SECONDS,
    on_progress: Progress | None = None,
) -> tuple[VoiceReport, Recording]:
    """Test a voice.

    Args:
        url: Address as people type it.
        clip: What to say: a sound file or a clip; None takes the bundled question.
        script: Turns to play in place of a clip.
        token: Access token of the server.
        query: More parameters of the call, such as `{"engine": "echo"}`.
        seconds_after: How long to listen after the clip.
        connect_timeout: Seconds until the socket must be open.
        handshake_timeout: Seconds until the server must be ready.
        on_progress: Called on the caller's loop with 0..1 and a sentence.

    Returns:
        The report, and everything that was said and heard. A call that breaks off or stays silent is a report
        with the verdict `fail`.

    Raises:
        PersonaDeskError: No call came about at all: the clip or the address is unusable, nobody answers, the token
            is wrong, the server is busy or never becomes ready.
    """
    waits = Waits(connect_timeout, handshake_timeout, seconds_after)
    mouth, warning = await asyncio.to_thread(_mouth, clip, script, waits)
    full_query = {"metadata": "1"} | dict(script.query if script else ()) | dict(query or {})
    address = addresses.parse(url, full_query)
    loop = asyncio.get_running_loop()

    def progress(done: float, doing: Text) -> None:
        if on_progress is not None:
            loop.call_soon_threadsafe(on_progress, done, doing)

    async def job() -> tuple[Recording, ServerFacts]:
        recording = await _call(address.url, mouth, token, waits, progress)
        return recording, await facts.ask(address, token)

    recording, who = await realtime.run(job, "voice-test")
    report = await asyncio.to_thread(judge_recording, recording, who, warning)
    return report, recording


def _mouth(clip: Path | Clip | None, script: Script | None, waits: Waits) -> tuple[Mouth, Text]:
    from personadesk.voice.mouth import ClipMouth, ScriptMouth

    if script is not None:
        return ScriptMouth(script, waits.after), NOTHING
    said = clip if isinstance(clip, clips.Clip) else clips.load(clip)
    return ClipMouth(said, waits.after), said.warning


def judge_recording(
    recording: Recording, who: ServerFacts | None = None, clip_warning: Text = NOTHING
) -> VoiceReport:
    """Measure a recorded call and say how it was.

    Args:
        recording: From a voice test.
        who: What the server told about itself.
        clip_warning: A sentence about the clip that belongs among the reasons.
    """
    from personadesk.voice import levels
    from personadesk.voice.blame import cause
    from personadesk.voice.measure import measure
    from personadesk.voice.script_judge import check_turns, told_turn, told_turns

    who = who or facts.ServerFacts()
    values = measure(recording)
    figures = reports.judge(values)
    further = reports.judge(values, reports.FURTHER_LIMITS)
    heard = bool(values["heard_anything"])
    failure = recording.failure or _died(recording)
    verdict, sentence = reports.conclude(figures, heard=heard, failure=failure, further=further)
    turns = check_turns(recording, who)
    missed = [each for each in turns if each.failed]
    if missed and verdict is not Verdict.FAIL:
        verdict, sentence = Verdict.FAIL, told_turns(turns)
    broken = [f for f in (*figures, *further) if f.verdict is not Verdict.PASS]
    broken.sort(key=lambda figure: figure.verdict is not Verdict.FAIL)
    reasons = [reports.reason(figure) for figure in broken]
    reasons[:0] = [told_turn(each) for each in missed]
    if verdict is not Verdict.PASS and (why := cause(broken, values)):
        # First, because it answers the question that the figures raise.
        reasons.insert(0, why)
    if clip_warning:
        reasons.append(clip_warning)
    sent, answered = recording.axis()
    return VoiceReport(
        verdict=verdict,
        sentence=sentence,
        explanation=_explain(recording, who, values, broken),
        figures=figures,
        further=further,
        values=values,
        reasons=tuple(reasons),
        url=recording.url,
        started=recording.started,
        text=recording.text,
        sent_wave=levels.peaks(sent),
        heard_wave=levels.peaks(answered),
        engine=who.engine,
        rehearsal=who.rehearsal,
        clip=recording.clip,
        turns=turns,
    )


async def _call(
    url: str, mouth: Mouth, token: str | None, waits: Waits, progress: Progress
) -> Recording:
    from personadesk.voice.opus import PACKET_SECONDS
    from personadesk.voice.recording import Recording

    started = time.time()
    progress(0.0, T("Calling the voice"))
    async with VoiceClient.connect(url, token=token, timeout=waits.connect) as call:
        progress(0.05, T("Waiting until it is ready"))
        handshake = await call.handshake(waits.handshake)
        recording = Recording(
            url=call.address.shown,
            started=started,
            clip=mouth.name,
            clip_seconds=mouth.clip_seconds,
            packet_seconds=PACKET_SECONDS,
            sent=mouth.said(),
            connect_s=call.connect_seconds,
            handshake_s=handshake,
        )
        await _converse(call, recording, mouth, progress)
        recording.sent, recording.marks = mouth.said(), mouth.marks
        recording.clip_seconds = mouth.clip_seconds
        recording.notes = {
            "bad_pages": call.bad_pages,
            "skipped_bytes": call.skipped_bytes,
            "unknown_messages": call.strange.unknown_messages,
            "text_frames": call.strange.text_frames,
        }
    progress(1.0, T("Judging"))
    return recording


async def _converse(
    call: VoiceClient, recording: Recording, mouth: Mouth, progress: Progress
) -> None:
    """Say everything on schedule while listening; ends when all is said or the server hangs up."""
    zero = time.perf_counter()
    listener = asyncio.create_task(_listen(call, recording, zero), name="voice test: listen")
    speaker = asyncio.create_task(
        _speak(call, recording, mouth, zero, progress), name="voice test: speak"
    )
    pinger = asyncio.create_task(_ping(call, recording), name="voice test: ping")
    everyone = (listener, speaker, pinger)
    try:
        try:
            async with asyncio.timeout(mouth.most_seconds + _SLACK_SECONDS):
                await asyncio.wait((listener, speaker), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            seconds = round(len(recording.sent_at) * recording.packet_seconds, 1)
            recording.failure = T(
                "The server took no more sound after {seconds} seconds.", seconds=seconds
            )
        recording.until = time.perf_counter() - zero
        if speaker.done() and speaker.exception() is not None:
            # The call is over, and what the server said last still waits to be read.
            await asyncio.wait((listener,), timeout=1.0)
        if not listener.done():
            recording.hung_up_by_us = speaker.done() and speaker.exception() is None
        closed = listener.result() if listener.done() else await call.hang_up()
    finally:
        for task in everyone:
            task.cancel()
        results = await asyncio.gather(*everyone, return_exceptions=True)
    recording.close_code, recording.close_reason = closed.code, closed.reason
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, PersonaDeskError):
            raise result
    if not recording.hung_up_by_us and not recording.failure:
        _tell_break(call, recording, closed)


def _tell_break(call: VoiceClient, recording: Recording, closed: Closed) -> None:
    why = call.explain(closed)
    seconds = round(recording.until, 1)
    if why.cause == "dropped" and closed.code != faults.ABNORMAL:
        recording.failure = T("The server ended the call after {seconds} seconds.", seconds=seconds)
    elif why.cause == "dropped":
        recording.failure = T("The line went dead after {seconds} seconds.", seconds=seconds)
    else:
        recording.failure = why.what
    recording.failure_next, recording.failure_details = why.next, why.details


async def _speak(
    call: VoiceClient, recording: Recording, mouth: Mouth, zero: float, progress: Progress
) -> None:
    for number in itertools.count():
        # Each packet has its own moment; a late one does not push the rest.
        wait = zero + number * recording.packet_seconds - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        step = mouth.next(time.perf_counter() - zero, recording.heard)
        if step is None:
            return
        packet, doing = step
        await call.send_pcm(packet)
        recording.sent_at.append(time.perf_counter() - zero)
        if number % 10 == 0:
            done = number * recording.packet_seconds / mouth.most_seconds
            progress(0.1 + 0.85 * min(1.0, done), doing)


async def _listen(call: VoiceClient, recording: Recording, zero: float) -> Closed:
    from personadesk.voice.recording import Piece

    async for event in call:
        match event:
            case AudioIn() | TextIn() | MetadataIn() if recording.until:
                pass  # said while hanging up; it is read on so that the goodbye behind it arrives
            case AudioIn(pcm, at):
                recording.heard.append(Piece(at - zero, pcm))
            case TextIn(words, at):
                recording.texts.append((at - zero, words))
            case MetadataIn(values, at):
                recording.metadata.append((at - zero, values))
            case ErrorIn():
                pass  # the client keeps it for the moment the server hangs up
            case Closed():
                return event
    raise RuntimeError("a call ended without its last event")


async def _ping(call: VoiceClient, recording: Recording) -> None:
    while True:
        await asyncio.sleep(_PINGS_EVERY)
        took = await call.round_trip()
        if took is not None:
            best = recording.round_trip_s
            recording.round_trip_s = took if best is None else min(best, took)


def _died(recording: Recording) -> Text:
    """Say when the voice fell silent for good though the call went on; NOTHING when it did not."""
    if not recording.heard:
        return NOTHING
    last = recording.heard[-1].at
    if recording.until - last < DIED_SECONDS:
        return NOTHING
    return T(
        "The voice stopped after {seconds} seconds, though the call went on.",
        seconds=round(last, 1),
    )


def _explain(
    recording: Recording,
    who: ServerFacts,
    values: Mapping[str, float | int | str | bool | None],
    broken: Sequence[Figure],
) -> Text:
    if recording.failure:
        return recording.failure_next
    first = values["first_audio_s"]
    if not isinstance(first, float):
        return T("The clip was spoken, and no sound came back at all.")
    if not values["heard_anything"]:
        return T(
            "Sound came back after {seconds} seconds, but it was silence.", seconds=round(first, 2)
        )
    if broken:
        return broken[0].limit.broken or broken[0].limit.why
    seconds = round(first, 2)
    if who.rehearsal:
        return T(
            "The test clip was spoken, and the rehearsal model answered after {seconds} seconds. It is "
            "untrained, so it babbles.",
            seconds=seconds,
        )
    if who.engine == "echo":
        return T(
            "The test clip was spoken, and the echo gave it back after {seconds} seconds.",
            seconds=seconds,
        )
    missed = values["late_seconds"]
    if not missed:
        return T(
            "The test clip was spoken, and the voice answered after {seconds} seconds. Nothing was missed.",
            seconds=seconds,
        )
    return T(
        "The test clip was spoken, and the voice answered after {seconds} seconds.", seconds=seconds
    )
