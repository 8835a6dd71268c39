"""An account's way to its provider's web API: limits on rate and time, retries where they are safe, typed answers.

Retried are requests that change nothing, requests that the caller calls repeatable, and any request that surely did not
arrive (no connection, or refused with 429 before it was looked at).
"""

from __future__ import annotations

import asyncio
import contextlib
import json as json_module
import logging
import random
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from personadesk.domain.errors import PersonaDeskError
from personadesk.providers import faults
from personadesk.providers.faults import Problem
from personadesk.providers.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    import httpx

    from personadesk.domain.provider import ProviderFacts

    Refusal = Callable[[Problem], PersonaDeskError | None]
    Read = Callable[[Mapping[str, Any], Problem], Problem]

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
MOST_PAGES = 200
"""Where a list never ends, its provider is broken."""
MOST_REDIRECTS = 3
MOST_LINES = 5000


class Api:
    """One account's API."""

    def __init__(
        self,
        facts: ProviderFacts,
        account: str,
        base_url: str,
        *,
        headers: Callable[[], Awaitable[Mapping[str, str]]],
        refusal: Refusal,
        read: Read | None = None,
        secrets: Sequence[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take what is needed; nothing is loaded or asked yet.

        Args:
            facts: The provider; its manners are the limits.
            account: Name of the account, for sentences.
            base_url: Where the API is; paths are appended.
            headers: Gives the headers that prove who we are; may fetch a token.
            refusal: Turns a refusal into an error by the provider's own codes; None leaves it to the HTTP status.
            read: Reads code and message from a refusal's JSON object, given a problem with what is known; None knows
                the usual shapes (`error.code`, `code`, `detail`, `title`, `message`, `msg`).
            secrets: What must never be in an error.
            transport: Stands in for the network.
            sleep: Waits.
            jitter: 0..1.
        """
        self._facts = facts
        self._account = account
        self._base = base_url.rstrip("/")
        self._headers = headers
        self._refusal = refusal
        self._read = read or usual_problem
        self._fixed_secrets = tuple(secrets)
        self._proof_shown = ""
        self._transport = transport
        self._sleep = sleep
        self._jitter = jitter
        self._limiter = Limiter(facts.manners.per_second, facts.manners.burst, sleep=sleep)
        apart = facts.manners.create_every_s
        self._creations = Limiter(1.0 / apart, sleep=sleep) if apart else None
        self._made: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def aclose(self) -> None:
        """Close its connections."""
        if self._made is not None:
            await self._made.aclose()
            self._made = None

    @overload
    async def call(
        self, method: str, path: str, into: type[_Answer], *, params: Mapping[str, Any] | None = ...,
        json: Any = ..., form: Mapping[str, str] | None = ..., headers: Mapping[str, str] | None = ...,
        repeatable: bool = ..., creates: bool = ...,
    ) -> _Answer: ...  # fmt: skip

    @overload
    async def call(
        self, method: str, path: str, into: None = ..., *, params: Mapping[str, Any] | None = ...,
        json: Any = ..., form: Mapping[str, str] | None = ..., headers: Mapping[str, str] | None = ...,
        repeatable: bool = ..., creates: bool = ...,
    ) -> None: ...  # fmt: skip

    async def call(
        self,
        method: str,
        path: str,
        into: type[_Answer] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        creates: bool = False,
    ) -> _Answer | None:
        """Make one call and return its answer.

        Args:
            method: `GET`, `POST` …
            path: After the base, or a whole URL of the same API (a next page).
            into: What the answer's JSON is; fields that it does not name are ignored. None takes no answer.
            params: Query.
            json: Body.
            form: Body as a form, instead.
            headers: Beside those that prove who we are.
            repeatable: Whether it may be asked again when it is not known if it took effect; a GET always may.
            creates: Whether it makes a machine; these keep a distance from each other where the provider wants it.

        Raises:
            PersonaDeskError: It was refused, or nobody answered (cause `maybe_done` when it may have taken effect).
        """
        response = await self.send(
            method,
            path,
            params=params,
            json=json,
            form=form,
            headers=headers,
            repeatable=repeatable,
            creates=creates,
        )
        if into is None:
            return None
        try:
            return msgspec.json.decode(response.content, type=into, strict=False)
        except msgspec.MsgspecError as error:
            body = faults.redact(response.text, self._secrets)
            problem = Problem(response.status_code, "unreadable", str(error), body=body)
            raise faults.provider_fault(self._facts, problem) from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        creates: bool = False,
    ) -> httpx.Response:
        """Make one call and return the raw answer; see `call`."""
        may_repeat = repeatable or method in {"GET", "HEAD"}
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                if creates and self._creations is not None:
                    await self._creations.turn()
                response = await self._once(method, path, params, json, form, headers)
                failure = self._failure(response)
                if failure is None:
                    return response
                again = response.status_code == 429 or (may_repeat and response.status_code >= 500)
            except PersonaDeskError as error:
                # A token could not be had, or nobody answered.
                failure = error
                again = error.retryable and (may_repeat or error.cause == "not_sent")
            if not again or attempt == TRIES:
                raise failure
            # Full jitter, so that many accounts or machines do not come back together.
            wait = failure.retry_after_s or pause * (0.5 + self._jitter())
            if wait > LONGEST_PAUSE_SECONDS:
                raise failure
            if failure.provider_status == 429:
                self._limiter.rest(wait)
            log.info("%s: %s Asked again in %.1f s", self._facts.title, failure.what, wait)
            await self._sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    async def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Response:
        client = await self._client()
        await self._limiter.turn()
        proof = await self._headers()
        self._proof_shown = proof.get("Authorization", "").rpartition(" ")[2]
        request = client.build_request(
            method, self._within(path), params=params, json=json, data=form,
            headers={**proof, **(headers or {})},
        )  # fmt: skip
        for _ in range(MOST_REDIRECTS):
            with self._no_answer():
                response = await client.send(request)
            if not response.has_redirect_location:
                return response
            # Some send a path without its last slash on to the one with it. What was asked has not been done yet,
            # so it is asked there as it was; a place elsewhere is not shown our key.
            url = self._within(str(request.url.join(response.headers["location"])))
            request = client.build_request(
                method, url, content=request.content,
                headers={**proof, **(headers or {}), **_body_headers(request)},
            )  # fmt: skip
        raise faults.provider_fault(self._facts, Problem(message=f"{path}: redirected in a circle"))

    async def events(
        self, path: str, *, params: Mapping[str, Any] | None = None, seconds: float = 3.0
    ) -> list[str]:
        """Return the data of a stream of server-sent events (WHATWG HTML, 9.2) as far as it comes within a time.

        Args:
            path: After the base.
            params: Query.
            seconds: How long is listened; such a stream does not end by itself.
        """
        client = await self._client()
        await self._limiter.turn()
        proof = await self._headers()
        found: list[str] = []
        with self._no_answer():
            try:
                async with (
                    asyncio.timeout(seconds),
                    client.stream(
                        "GET", self._within(path), params=params, headers=proof
                    ) as response,
                ):
                    if response.status_code >= 400:
                        await response.aread()
                        raise self._refused(response)
                    async for line in response.aiter_lines():
                        if line.startswith("data:"):
                            found.append(line[5:].removeprefix(" "))
                        if len(found) >= MOST_LINES:
                            break
            except TimeoutError:
                log.debug("%s: %d events in %.1f s", self._facts.title, len(found), seconds)
        return found

    async def elsewhere(self, url: str) -> str | None:
        """Return a text that lies at another place, such as a log in a store; it is asked for without our key.

        Returns:
            None where it is not there, or not there yet (403, 404).
        """
        client = await self._client()
        with self._no_answer():
            response = await client.get(url)
        if response.status_code in {403, 404}:
            return None
        if response.status_code >= 400:
            raise self._refused(response)
        return response.text

    def _within(self, path: str) -> str:
        url = path if path.startswith(("http://", "https://")) else self._base + path
        if url != self._base and not url.startswith(f"{self._base}/"):
            # A next page elsewhere must not be shown our key.
            raise faults.provider_fault(self._facts, Problem(message=f"a page at {url}"))
        return url

    @contextlib.contextmanager
    def _no_answer(self) -> Iterator[None]:
        """Turn a failed connection into `Unreachable`, with whether the request may have arrived."""
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise faults.unreachable(self._facts, self._clean(error), sent=False) from error
        except httpx.HTTPError as error:
            raise faults.unreachable(self._facts, self._clean(error), sent=True) from error

    async def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            async with self._making:
                if self._made is None:
                    # In a thread: 0.1 s that a window would feel.
                    self._made = await asyncio.to_thread(self._make)
        return self._made

    def _make(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(
            transport=self._transport,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )

    def _failure(self, response: httpx.Response) -> PersonaDeskError | None:
        return self._refused(response) if response.status_code >= 400 else None

    def _refused(self, response: httpx.Response) -> PersonaDeskError:
        problem = self.problem_of(response)
        return self._refusal(problem) or faults.by_status(self._facts, self._account, problem)

    def problem_of(self, response: httpx.Response) -> Problem:
        """Return what a refusal says."""
        body = faults.redact(response.text, self._secrets)
        problem = Problem(
            status=response.status_code,
            message=response.reason_phrase,
            request_id=next(
                (response.headers[name] for name in _REQUEST_IDS if name in response.headers), ""
            ),
            retry_after_s=_retry_after(response.headers.get("retry-after", "")),
            body=body,
        )
        try:
            values = json_module.loads(body)
        except ValueError:
            # Plain text, as some answer when they are too busy: it is all there is to say.
            return replace(problem, message=body.strip()[:300] or problem.message)
        return self._read(values, problem) if isinstance(values, dict) else problem

    @property
    def _secrets(self) -> tuple[str, ...]:
        # What proves who we are may be a token that was not there when this was made.
        return (*self._fixed_secrets, self._proof_shown)

    def _clean(self, error: Exception) -> str:
        return faults.redact(f"{type(error).__name__}: {error}", self._secrets)


_REQUEST_IDS = (
    "x-request-id",
    "x-amzn-requestid",
    "x-ms-request-id",
    "x-runpod-request-id",
    "cf-ray",
)


def _body_headers(request: httpx.Request) -> dict[str, str]:
    kind = request.headers.get("content-type")
    return {"content-type": kind} if kind else {}


def usual_problem(values: Mapping[str, Any], problem: Problem) -> Problem:
    """Read code, message and request id from the shapes that most APIs use for a refusal."""
    inner = values.get("error")
    source: Mapping[str, Any] = inner if isinstance(inner, dict) else values
    code = source.get("code") or source.get("status") or source.get("id") or source.get("title")
    message = (
        source.get("message") or source.get("detail") or source.get("msg") or source.get("title")
    )
    if isinstance(inner, str) and "code" not in values:
        code = inner
    return Problem(
        status=problem.status,
        code=str(code or ""),
        message=str(message or code or problem.message),
        request_id=str(values.get("request_id") or problem.request_id),
        retry_after_s=problem.retry_after_s,
        body=problem.body,
    )


def _retry_after(value: str) -> float | None:
    """Read a `Retry-After`: seconds or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
