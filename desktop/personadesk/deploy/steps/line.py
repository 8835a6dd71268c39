"""Step 8: put the voice behind its line, and prove it by a handshake through the line's own address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from personadesk.deploy.step import Context, Step
from personadesk.domain.errors import BadRequest, NoCapacity, PersonaDeskError
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.progress import StepName
from personadesk.domain.text import T, Text
from personadesk.store.coding import text_from_json, text_to_json
from personadesk.voice.handshake import shake_hands

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PORTS = 20
_TRIES = 4
_WAIT_SECONDS = 0.5


class LineStep(Step):
    """Leads the line to the new server; an older server behind it is stopped afterwards."""

    name = StepName.LINE
    title = T("Put behind the line")
    limit_s = 90.0
    leads = True
    expected_s = 1.0

    def __init__(self, prove: Callable[[str], Awaitable[None]] = shake_hands) -> None:
        self._prove = prove

    async def run(self, context: Context) -> Text:
        """Lead the line here and prove it."""
        plan = context.plan
        before = await context.lines.get(plan.line)
        if "line_before" not in context.facts:
            # Written down first: whoever undoes this must know what to put back.
            await context.remember(line_before=_to_json(before))
        line = await self._lead(context, new=before is None)
        context.tell(T("calling through {url}", url=line.url), None)
        await self._call(line.url)
        await context.lines.tell(line.name, LineState.UP)
        await context.remember(line_url=line.url)
        if line.port != plan.port:
            return T(
                "port {taken} was taken meanwhile; {url} leads to it",
                taken=str(plan.port),
                url=line.url,
            )
        return T("{url} leads to it", url=line.url)

    async def settle(self, context: Context) -> None:
        """Stop the server that was behind the line before: nothing leads to it, so nobody else ever would."""
        before = context.facts.get("line_before") or {}
        replaced = before.get("server_id") or context.plan.id
        if replaced == context.plan.id:
            return
        try:
            if await context.servers.dispose(replaced):
                told = T("stopped {replaced}, which this one replaces", replaced=replaced)
                context.log(self.name, told, False)
        except PersonaDeskError as error:
            # The new voice is up and proven; an old machine that is not reached, or whose provider refuses its end, is
            # no reason to take it down again. What must go is on record, and tried again.
            await context.servers.leave(replaced)
            context.log(
                self.name,
                T(
                    "{replaced}, which this one replaces, is not gone yet and is removed later: {what}",
                    replaced=replaced,
                    what=error.what,
                ),
                True,
            )

    async def undo(self, context: Context) -> bool:
        """Put the line back to what it was, if it still leads here."""
        line = await context.lines.get(context.plan.line)
        ours = (
            line is not None
            and line.target is not None
            and line.target.server_id == context.plan.id
        )
        if "line_before" not in context.facts:
            if ours and line is not None:
                # It was a spare that the line went over to, so nothing is known to put back.
                await context.lines.put(Line(line.name, line.port, since=context.clock()))
            return ours
        before = context.facts["line_before"]
        if ours and before and await context.servers.store.get(before.get("server_id") or ""):
            await context.lines.put(_from_json(context.plan.line, before))
        elif ours and before:
            # Programs know its address; what was behind it before is gone.
            await context.lines.put(Line(context.plan.line, before["port"], since=context.clock()))
        elif ours:
            await context.lines.forget(context.plan.line)
        # A later attempt must look afresh at what it replaces.
        context.facts.pop("line_before")
        context.facts.pop("line_url", None)
        await context.remember()
        return ours

    async def _lead(self, context: Context, *, new: bool) -> Line:
        """Open the line's address; when its port was snatched away and nobody asked for it, another one."""
        plan = context.plan
        port = plan.port
        while True:
            line = Line(
                plan.line,
                port,
                Target(context.facts["server_url"], plan.id),
                LineState.STARTING,
                context.clock(),
            )
            try:
                await context.lines.put(line)
            except BadRequest as error:
                # Programs may know an old line's port by heart; that of a new one is known to nobody yet.
                if (
                    error.cause != "port_taken"
                    or not (plan.any_port and new)
                    or port >= plan.port + PORTS
                ):
                    raise
                port += 1
                told = T("{what} Port {port} is tried instead.", what=error.what, port=port)
                context.log(self.name, told, True)
            else:
                return line

    async def _call(self, url: str) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._prove(url)
            except NoCapacity:
                # The row of the voice test just before may not be free yet.
                if attempt == _TRIES:
                    raise
            except PersonaDeskError as error:
                if not error.retryable or attempt == _TRIES:
                    raise
            else:
                return
            await asyncio.sleep(_WAIT_SECONDS)


def _to_json(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "port": line.port,
        "url": line.target.url if line.target else None,
        "server_id": line.target.server_id if line.target else None,
        "state": str(line.state),
        "since": line.since,
        "reason": text_to_json(line.reason),
    }


def _from_json(name: str, values: dict[str, Any]) -> Line:
    target = Target(values["url"], values["server_id"] or "") if values["url"] else None
    return Line(
        name, values["port"], target, LineState(values["state"]), values["since"],
        text_from_json(values["reason"]),
    )  # fmt: skip
