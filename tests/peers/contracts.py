"""The official contracts as judges: every request that a provider's file makes in a test is held against its spec.

A `Judge` sits where httpx has its transport, in front of whatever answers (a simulator, Prism, a recorded answer). A
request that breaks the contract fails the test that made it; an answer that does is reported as well, so that no
simulator drifts into fantasy.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.responses.exceptions import ResponseNotFound
from werkzeug.datastructures import Headers, ImmutableMultiDict

_PLACE = Path("shared") / "providers" / "specs"
SPECS = next(
    (found for above in Path(__file__).resolve().parents[2:] if (found := above / _PLACE).is_dir()),
    _PLACE,
)
"""The contracts lie in or beside the checkout, or above it where it is one of several worktrees; they are other
people's texts and not part of it."""


UNWRITTEN = frozenset({401, 403, 429, *range(500, 600)})
"""Every API answers these, whether its contract names them for each call or not."""


class ContractBroken(AssertionError):
    """A request or an answer that the official contract does not allow."""


def spec(name: str) -> dict[str, Any]:
    """Return a contract, or skip the test where the contracts are not at hand."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"the contract {name} is not beside this checkout")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


@functools.cache
def openapi(name: str) -> OpenAPI:
    """Return an OpenAPI contract, ready to judge."""
    return ready(spec(name))


def ready(values: dict[str, Any]) -> OpenAPI:
    """Return what judges by a contract."""
    schemes = values.get("components", {}).get("securitySchemes", {})
    for scheme, told in schemes.items():
        if told.get("type") == "oauth2":
            # How a token is had cannot be judged here; that one is shown can.
            schemes[scheme] = {"type": "http", "scheme": "bearer"}
    # Some published contracts break their own rules (double operation ids); they are still the official word.
    return OpenAPI.from_dict(
        values,
        config=Config(
            spec_validator_cls=None,
            extra_media_type_deserializers={
                "application/problem+json": json.loads,
                "text/event-stream": lambda body: body.decode("utf-8"),
            },
        ),
    )


class _Request:
    """An httpx request as openapi-core wants it."""

    def __init__(self, request: httpx.Request, base: str) -> None:
        parts = urlsplit(str(request.url))
        official = urlsplit(base)
        self.host_url = f"{official.scheme}://{official.netloc}"
        self.path = parts.path
        self.full_url_pattern = f"{self.host_url}{parts.path}"
        self.method = request.method.lower()
        self.body = request.content or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(parts.query, keep_blank_values=True)),
            header=Headers(list(request.headers.items())),
            cookie=ImmutableMultiDict(),
        )


class _Response:
    """An httpx response as openapi-core wants it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.headers = Headers(list(response.headers.items()))
        self.content_type = response.headers.get("content-type", "")
        self.data = response.content


class Judge(httpx.AsyncBaseTransport):
    """Holds every request and answer against a contract on its way.

    Attributes:
        seen: Method and path of every request, in order.
    """

    def __init__(
        self,
        contracts: dict[str, str] | str,
        inner: httpx.AsyncBaseTransport,
        *,
        base: str,
        judge_answers: bool = True,
        outside: tuple[str, ...] = (),
        statuses: frozenset[int] | None = None,
    ) -> None:
        """Take the contract and what answers.

        Args:
            contracts: A spec's file name, or several by the path prefix that each is for.
            inner: What answers.
            base: The provider's official address, in whose place `inner` answers.
            judge_answers: Whether answers must keep the contract too; recorded faults may not.
            outside: Path prefixes that no published contract covers.
            statuses: Answers of these are judged, where the contract leaves out others that there are; None for all.
        """
        self._contracts = {"": contracts} if isinstance(contracts, str) else contracts
        self._inner = inner
        self._base = base
        self._judge_answers = judge_answers
        self._outside = outside
        self._statuses = statuses
        self.seen: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        path = request.url.path
        self.seen.append((request.method, path))
        outside = self._is_outside(path)
        if not outside:
            self._judge_request(request)
        response = await self._inner.handle_async_request(request)
        await response.aread()
        told = self._statuses is None or response.status_code in self._statuses
        if self._judge_answers and told and not outside:
            self._judge_answer(request, response)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _is_outside(self, path: str) -> bool:
        return path.startswith(self._outside)

    def _of(self, path: str) -> OpenAPI:
        prefix = max((p for p in self._contracts if path.startswith(p)), key=len)
        return openapi(self._contracts[prefix])

    def _judge_request(self, request: httpx.Request) -> None:
        # Looking for errors alone costs a third of what making objects of everything does.
        errors = list(self._of(request.url.path).iter_request_errors(_Request(request, self._base)))
        if errors:
            raise ContractBroken(_told(request, errors, "the request"))

    def _judge_answer(self, request: httpx.Request, response: httpx.Response) -> None:
        api = self._of(request.url.path)
        asked, answered = _Request(request, self._base), _Response(response)
        errors = list(api.iter_response_errors(asked, answered))
        unwritten = all(isinstance(each, ResponseNotFound) for each in errors)
        if errors and not (unwritten and response.status_code in UNWRITTEN):
            raise ContractBroken(_told(request, errors, f"the answer {response.status_code}"))


def _told(request: httpx.Request, errors: Any, what: str) -> str:
    lines = []
    for error in errors:
        causes = getattr(error.__cause__, "schema_errors", None) or (error,)
        lines += [str(getattr(cause, "message", cause)) for cause in causes]
    return f"{request.method} {request.url.path}: {what} breaks the contract: " + "; ".join(lines)
