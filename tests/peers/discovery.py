"""Google's contracts as judges: its discovery documents say what OpenAPI says elsewhere, in a form of their own.

Path, method, parameters and body of each request are held against the document, and answers against the schema that it
names. A field that the document does not know is a breach, as Google itself refuses it ("Unknown name").
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

from peers.contracts import ContractBroken, spec

_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip


class Discovery:
    """One discovery document, ready to judge."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas: dict[str, Any] = document["schemas"]
        self._everywhere: dict[str, Any] = document["parameters"]
        self._base = document["basePath"]
        self._methods = [
            (re.compile(self._pattern(method)), method)
            for resource in document["resources"].values()
            for method in resource["methods"].values()
        ]

    def _pattern(self, method: dict[str, Any]) -> str:
        parts = re.split(r"(\{\w+\})", self._base + method["flatPath"])
        return "".join(f"(?P<{p[1:-1]}>[^/]+)" if p[:1] == "{" else re.escape(p) for p in parts)

    def method(self, verb: str, path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return the method that a request calls and its path's parameters."""
        for pattern, method in self._methods:
            if method["httpMethod"] == verb and (found := pattern.fullmatch(path)):
                return method, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    def judge_request(self, verb: str, path: str, query: str, body: bytes) -> list[str]:
        """Return what is wrong with a request, nothing when all is well."""
        found = self.method(verb, path)
        if found is None:
            return ["there is no such method and path"]
        method, given = found
        known = {**self._everywhere, **method["parameters"]}
        wrong: list[str] = []
        for name, value in [*given.items(), *parse_qsl(query, keep_blank_values=True)]:
            if name not in known:
                wrong.append(f"there is no parameter {name}")
            else:
                wrong += self._parameter(name, value, known[name])
        asked = {*given, *(name for name, _ in parse_qsl(query, keep_blank_values=True))}
        for name, parameter in method["parameters"].items():
            if parameter.get("required") and name not in asked:
                wrong.append(f"the parameter {name} is missing")
        if "request" not in method:
            return wrong + (["there is a body, and none is wanted"] if body else [])
        try:
            values = json.loads(body or b"null")
        except ValueError:
            return [*wrong, "the body is not JSON"]
        return wrong + self._value(method["request"], values, "body", method["id"])

    def judge_answer(self, verb: str, path: str, body: bytes) -> list[str]:
        """Return what is wrong with a good answer, nothing when all is well."""
        found = self.method(verb, path)
        if found is None or "response" not in found[0]:
            return []
        return self._value(found[0]["response"], json.loads(body), "answer", "")

    def _parameter(self, name: str, value: str, parameter: dict[str, Any]) -> list[str]:
        kind = parameter.get("type")
        sound = {
            "integer": lambda: re.fullmatch(r"-?\d+", value),
            "boolean": lambda: value in {"true", "false"},
        }.get(str(kind), lambda: True)()
        pattern = parameter.get("pattern")
        if not sound or (pattern and not re.fullmatch(pattern, value)):
            return [f"the parameter {name} cannot be {value!r}"]
        return []

    def _value(self, schema: dict[str, Any], value: Any, where: str, method: str) -> list[str]:
        """Judge a value; `method` is the method's id in requests and "" in answers."""
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"]], value, where, method)
        kind = schema.get("type", "any")
        if kind == "any":
            return []
        if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
            return [f"{where} is {type(value).__name__}, not {kind}"]
        if kind == "array":
            return [
                each
                for number, item in enumerate(value)
                for each in self._value(schema["items"], item, f"{where}[{number}]", method)
            ]
        if kind == "object":
            return self._object(schema, value, where, method)
        if kind == "string":
            return self._string(schema, value, where)
        return []

    def _object(
        self, schema: dict[str, Any], value: dict[str, Any], where: str, method: str
    ) -> list[str]:
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        wrong: list[str] = []
        for name, item in value.items():
            inner = properties.get(name, rest)
            at = f"{where}.{name}"
            if inner is None:
                wrong.append(f"{at} is unknown")
            elif method and name in properties and _told_only(inner):
                wrong.append(f"{at} is told by Google, not given")
            else:
                wrong += self._value(inner, item, at, method)
        if method:
            wrong += [
                f"{where}.{name} is missing"
                for name, inner in properties.items()
                if method in inner.get("annotations", {}).get("required", ()) and name not in value
            ]
        return wrong

    def _string(self, schema: dict[str, Any], value: str, where: str) -> list[str]:
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where} cannot be {value!r}"]
        if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
            return [f"{where} cannot be {value!r}"]
        if schema.get("format") in {"int64", "uint64"} and not re.fullmatch(r"-?\d+", value):
            return [f"{where} is no number: {value!r}"]
        return []


def _told_only(schema: dict[str, Any]) -> bool:
    said = str(schema.get("description", ""))
    return bool(schema.get("readOnly")) or said.startswith(("[Output Only]", "Output only."))


@functools.cache
def discovery(name: str) -> Discovery:
    """Return a discovery document, or skip the test where the contracts are not at hand."""
    return Discovery(spec(name))


class DiscoveryJudge(httpx.AsyncBaseTransport):
    """Holds every request and answer against a discovery document on its way; see `peers.contracts.Judge`.

    Attributes:
        seen: Method and path of every request, in order.
    """

    def __init__(
        self,
        contract: str,
        inner: httpx.AsyncBaseTransport,
        *,
        judge_answers: bool = True,
        outside: tuple[str, ...] = (),
    ) -> None:
        """Take the contract and what answers.

        Args:
            contract: The document's file name.
            inner: What answers.
            judge_answers: Whether good answers must keep the contract too; refusals have no schema there.
            outside: Path prefixes that the document does not cover.
        """
        self._contract = discovery(contract)
        self._inner = inner
        self._judge_answers = judge_answers
        self._outside = outside
        self.seen: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        verb, path = request.method, request.url.path
        self.seen.append((verb, path))
        outside = path.startswith(self._outside)
        if not outside:
            query = request.url.query.decode()
            wrong = self._contract.judge_request(verb, path, query, request.content)
            if wrong:
                raise ContractBroken(f"{verb} {path}: the request breaks the contract: {wrong}")
        response = await self._inner.handle_async_request(request)
        await response.aread()
        if self._judge_answers and not outside and response.status_code < 400:
            wrong = self._contract.judge_answer(verb, path, response.content)
            if wrong:
                raise ContractBroken(f"{verb} {path}: the answer breaks the contract: {wrong}")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
