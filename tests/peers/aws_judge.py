"""Holds the pretend AWS to AWS's own service models: what it is asked, and what it answers, to the last member."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import botocore.parsers
import botocore.session

from peers.moto import Call, Door, call_of
from personadesk.rehearsal.http import Simulator
from personadesk.rehearsal.serving import Served

FOLDERS = {"servicequotas": "service-quotas"}


class AwsJudge:
    """Listens in front of a simulator.

    Attributes:
        url: Where; an account's base URL.
        calls: Every request.
        broken: What broke AWS's contract.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._door = Door("")
        self._served = Served(self._answer)
        self.url = self._served.url
        self.calls: list[Call] = self._door.calls
        self.broken = self._door.broken

    def close(self) -> None:
        """Stop listening."""
        self._served.close()

    def _answer(self, *parts: Any) -> Any:
        _, _, _, headers, body = parts
        call = call_of(headers, body)
        self.calls.append(call)
        self._door.judge(call)
        status, named, content = self._simulator.answer(*parts)
        self.broken += [f"{call.action}: {each}" for each in wrong_in(call, status, named, content)]
        return status, named, content


def wrong_in(call: Call, status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """Yield what an answer has that AWS's model does not know, or that botocore cannot read."""
    operation = model(call.service).operation_model(call.action)
    parser = botocore.parsers.create_parser(model(call.service).metadata["protocol"])
    parsed = parser.parse(
        {"status_code": status, "headers": headers, "body": body}, operation.output_shape
    )
    if status >= 400:
        if not parsed["Error"]["Code"]:
            yield f"a refusal without a code: {body!r}"
    elif call.service in {"ec2", "sts"}:
        root = ET.fromstring(body)  # noqa: S314 - our own answer
        if plain(root.tag) != f"{call.action}Response":
            yield f"the root is {root.tag}"
        if call.service == "sts":
            root = root.find("{*}GetCallerIdentityResult")
        if operation.output_shape is not None:
            yield from unknown_in(root, operation.output_shape, top=True)
    else:
        yield from unknown_members(json.loads(body), operation.output_shape)


@functools.cache
def model(service: str) -> Any:
    """Return AWS's model of a service."""
    name = FOLDERS.get(service, service)
    return botocore.session.Session().get_service_model(name)


def plain(tag: str) -> str:
    """Return a tag without its namespace."""
    return re.sub(r"^\{.*\}", "", tag)


def unknown_in(element: ET.Element, shape: Any, *, top: bool = False) -> Iterator[str]:
    """Yield the elements of an XML answer that a shape does not have, by its own names."""
    for child in element:
        name = plain(child.tag)
        if shape.type_name == "list":
            usual = shape.member.serialization.get("name", "member")
            member = shape.member if name == usual else None
        elif shape.type_name == "structure":
            places = {
                each.serialization.get("name", key): each for key, each in shape.members.items()
            }
            member = places.get(name)
        else:
            member = None
        if member is not None:
            yield from unknown_in(child, member)
        elif not (top and name == "requestId"):
            yield f"{shape.name} has no {name}"


def unknown_members(value: Any, shape: Any) -> Iterator[str]:
    """Yield the members of a JSON answer that a shape does not have."""
    if shape.type_name == "structure":
        for key, part in value.items():
            if key in shape.members:
                yield from unknown_members(part, shape.members[key])
            else:
                yield f"{shape.name} has no {key}"
    elif shape.type_name == "list":
        for part in value:
            yield from unknown_members(part, shape.member)
