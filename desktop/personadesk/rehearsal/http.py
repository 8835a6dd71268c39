"""How a provider's HTTP API is put in front of a rehearsal world: routes, requests, answers.

A simulator is a class with a method for each call of the provider's API:

    class Nimbus(Simulator):
        id = "nimbus"
        kinds = (Kind("n1-l4", "L4", 24, 0.5, stock={"eu": 2}),)
        ready = Ready({"api_key": "rehearsal-nimbus"}, key="rehearsal-nimbus")

        @route("GET", "/v1/machines")
        def list(self, request):
            return Answer.json({"machines": [self._shown(m) for m in self.world.machines(request.account)]})

        @route("DELETE", "/v1/machines/{id}", right=Right.END)
        def delete(self, request):
            self.world.end(self.world.machine(request.account, request.names["id"]))
            return Answer(204)

        def refusal(self, refused, request):
            return Answer.json({"error": {"code": refused.why, "message": refused.message}}, STATUS[refused.why])

`answer` is all of it in-process, for tests behind an `httpx.MockTransport`; `serving.Served` listens on a port.
"""

from __future__ import annotations

import json as json_module
import re
import secrets
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote

from personadesk.domain.account import Right
from personadesk.rehearsal.faults import OF_CALLS, Fault
from personadesk.rehearsal.things import Pace, Refused, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.rehearsal.things import Account, Kind
    from personadesk.rehearsal.world import World

USUAL_STATUS: Mapping[Why, int] = {
    Why.BAD_KEY: 401, Why.EXPIRED: 401, Why.MISSING_RIGHT: 403, Why.NO_MONEY: 402,
    Why.NO_CAPACITY: 409, Why.QUOTA: 403, Why.RATE: 429, Why.NOT_FOUND: 404,
    Why.WRONG_STATE: 409, Why.BAD_REQUEST: 400, Why.FAULT: 500,
}  # fmt: skip
"""HTTP statuses to begin with; a simulator takes its provider's own where they differ."""


class Dropped(ConnectionError):
    """The connection breaks before the answer; behind a mock transport it becomes `httpx.ReadError`."""


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: `GET`, `POST` …
        path: Without the query, unquoted.
        query: Pairs in order; `param` finds one.
        headers: Names in small letters.
        body: Raw.
        id: The request's id; put into the answer where the provider does.
        names: What the route's `{name}`s stand for.
        account: Whose key it came with, None for routes that are open to all.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    id: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    _account: Account | None = None

    @property
    def account(self) -> Account:
        """Whose key it came with.

        Raises:
            Refused: BAD_KEY, when the route is open to all and nobody has proven who it is.
        """
        if self._account is None:
            raise Refused(Why.BAD_KEY, "no key was given")
        return self._account

    def param(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def params(self, name: str) -> list[str]:
        """Return all values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty one.

        Raises:
            Refused: BAD_REQUEST.
        """
        try:
            values = json_module.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(Why.BAD_REQUEST, f"the body is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise Refused(Why.BAD_REQUEST, "the body is not a JSON object")
        return values

    def form(self) -> dict[str, str]:
        """Return the body as a form's fields."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        body: Raw.
        headers: Beside the content's type and length.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(value: Any, status: int = 200, **headers: str) -> Answer:
        """Return JSON; `x_request_id="…"` becomes the header `x-request-id`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json_module.dumps(value).encode()
        return Answer(status, body, {"content-type": "application/json", **named})

    @staticmethod
    def text(value: str, status: int = 200) -> Answer:
        """Return plain text."""
        return Answer(status, value.encode(), {"content-type": "text/plain; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Ready:
    """The account with which a rehearsal begins.

    Attributes:
        credentials: The account's secret fields by name, as the provider's file wants them.
        key: What `key_of` finds in a request that was made with them.
        settings: Fields that are no secret (a project, a region).
        base_path: What follows the server's address in the account's base URL: "/v1".
        balance: Dollars at first, None where the provider bills afterwards.
    """

    credentials: Mapping[str, str]
    key: str
    settings: Mapping[str, str] = field(default_factory=dict)
    base_path: str = ""
    balance: float | None = 50.0


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    right: Right | None
    name: str


def route(
    method: str, path: str, *, right: Right | None = Right.SEE
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Make a method of a `Simulator` the handler of a call.

    Args:
        method: HTTP method.
        path: `/v1/machines/{id}`; `{name}` stands for what has no slash in it, `{name*}` for anything.
        right: What the key must be allowed; None for a call that anybody may make.
    """
    pattern = "".join(
        f"(?P<{part[1:-2]}>.+)" if part.endswith("*}")
        else f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{")
        else re.escape(part)
        for part in re.split(r"(\{\w+\*?\})", path)
    )  # fmt: skip

    def mark(work: Callable[..., Answer]) -> Callable[..., Answer]:
        routes = [*getattr(work, "_routes", ()), (method, re.compile(f"{pattern}/?"), right)]
        work._routes = routes  # type: ignore[attr-defined]  # read by __init_subclass__
        return work

    return mark


class Routed:
    """A class whose methods are the handlers of calls, by `route`."""

    _routes: ClassVar[tuple[_Route, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Collect the routes, in the order in which they are written."""
        super().__init_subclass__(**options)
        cls._routes = cls._routes + tuple(
            _Route(method, pattern, right, name)
            for name, work in vars(cls).items()
            for method, pattern, right in getattr(work, "_routes", ())
        )

    def find(self, request: Request) -> tuple[Callable[[Request], Answer], Right | None]:
        """Return the handler of a request and the right that it takes; the request learns its names.

        Raises:
            Refused: NOT_FOUND.
        """
        for each in self._routes:
            match = each.pattern.fullmatch(request.path) if each.method == request.method else None
            if match is not None:
                request.names = match.groupdict()
                return getattr(self, each.name), each.right
        raise Refused(Why.NOT_FOUND, f"there is no {request.method} {request.path}")


def read_request(
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    request_id: str = "",
) -> Request:
    """Return a request from its parts as they were sent."""
    return Request(
        method.upper(),
        unquote(path),
        tuple(parse_qsl(query, keep_blank_values=True)),
        {name.casefold(): value for name, value in (headers or {}).items()},
        body,
        request_id,
    )


class Simulator(Routed, ABC):
    """One provider's API in front of a world.

    Attributes:
        id: The provider's id.
        kinds: What it has for rent.
        ready: The account with which a rehearsal begins.
        pace: How long things take at speed 1.
        keeps_address: Whether a machine has the same address after stop and start.
        keeps_gpu: Whether a stopped machine's GPU stays reserved for it.
        request_id_header: In which header its answers carry the request's id.
    """

    id: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    ready: ClassVar[Ready]
    pace: ClassVar[Pace] = Pace()
    keeps_address: ClassVar[bool] = False
    keeps_gpu: ClassVar[bool] = False
    request_id_header: ClassVar[str] = "x-request-id"

    def __init__(self, world: World) -> None:
        """Take the world; `catalog.make` makes both.

        Args:
            world: A world of this class's kinds, pace and habits.
        """
        self.world = world
        self.settles = True
        """Whether what is due happens at each request; not where a clockwork of its own sees to it."""
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request, in order; for tests."""

    # -- what a provider has of its own -----------------------------------------------------------------------

    @abstractmethod
    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal in the provider's words; see `USUAL_STATUS`."""

    def key_of(self, request: Request) -> str:
        """Return the credential that a request came with, as one text: the bearer token, unless it is overridden.

        May raise `Refused` itself, as for a token that has run out.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.casefold() == "bearer" else ""

    def new_request_id(self) -> str:
        """Return an id for a request."""
        return secrets.token_hex(8)

    # -- requests ---------------------------------------------------------------------------------------------

    def answer(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request as the provider would.

        Args:
            method: HTTP method.
            path: Path as sent, quoted or not.
            query: What follows the question mark.
            headers: In any case.
            body: Raw.

        Returns:
            Status, headers, body.

        Raises:
            Dropped: A fault breaks the connection instead.
        """
        request = read_request(method, path, query, headers, body, self.new_request_id())
        self.seen.append((request.method, request.path))
        if self.settles:
            self.world.settle()
        try:
            answer = self._handled(request)
        except Refused as refused:
            answer = self._refused(refused, request)
        named = {name.casefold(): value for name, value in answer.headers.items()}
        if self.request_id_header:
            named.setdefault(self.request_id_header, request.id)
        return answer.status, named, answer.body

    def _refused(self, refused: Refused, request: Request) -> Answer:
        answer = self.refusal(refused, request)
        if refused.retry_after_s is None or "retry-after" in answer.headers:
            return answer
        wait = f"{refused.retry_after_s:.0f}"
        return Answer(answer.status, answer.body, {**answer.headers, "retry-after": wait})

    def _handled(self, request: Request) -> Answer:
        rule = self.world.faults.happens(
            *OF_CALLS, provider=self.id, call=f"{request.method} {request.path}"
        )
        fault = rule.fault if rule is not None else None
        seconds = rule.seconds if rule is not None else 0.0
        if fault is Fault.SLOW_ANSWER:
            time.sleep(seconds)
        if fault is Fault.RATE_LIMIT:
            raise Refused(Why.RATE, "too many requests", retry_after_s=seconds)
        if fault is Fault.WRONG_KEY:
            raise Refused(Why.BAD_KEY, "the key is not valid")
        if fault is Fault.EXPIRED_KEY:
            raise Refused(Why.EXPIRED, "the key has expired")
        if fault is Fault.FAIL_BEFORE:
            raise Refused(Why.FAULT, "internal error")
        if fault is Fault.DROP_BEFORE:
            raise Dropped
        answer = self._routed(request)
        if fault is Fault.FAIL_AFTER:
            raise Refused(Why.FAULT, "internal error")
        if fault is Fault.DROP_AFTER:
            raise Dropped
        return answer

    def _routed(self, request: Request) -> Answer:
        work, right = self.find(request)
        if right is not None:
            request._account = self.world.account(self.key_of(request), right)
        # One call at a time: what it reads does not change under it.
        with self.world.lock:
            return work(request)
