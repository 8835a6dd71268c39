"""Reads and writes AWS's wire forms by the service models that botocore ships, which are AWS's own contract.

What a model does not know is neither read nor written: an unknown parameter is refused as EC2 refuses it, and an answer
with a member that its shape lacks is a mistake of ours, and loud. botocore is loaded when somebody first asks.
"""

from __future__ import annotations

import base64
import functools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from personadesk.rehearsal.http import Answer
from personadesk.rehearsal.things import Refused, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDERS = {"servicequotas": "service-quotas"}
"""Where botocore keeps a service's model under another name than it is signed for."""
_READERS: Mapping[str, Any] = {
    "boolean": lambda text: text == "true", "integer": int, "long": int, "float": float, "double": float,
    "blob": base64.b64decode, "timestamp": lambda text: datetime.fromisoformat(text),
}  # fmt: skip


class Said(Refused):
    """A refusal with a code of AWS's that `Why` alone does not tell.

    Attributes:
        code: As AWS names it: `InvalidKeyPair.Duplicate`.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(Why.BAD_REQUEST, message)
        self.code = code
        self.status = status


class Service:
    """One service's wire form.

    Attributes:
        name: As requests are signed for it: `ec2`.
        as_json: Whether it speaks JSON; else it takes forms and answers XML.
    """

    def __init__(self, name: str) -> None:
        import botocore.session

        self.name = name
        self.model = botocore.session.Session().get_service_model(_FOLDERS.get(name, name))
        self.as_json = self.model.metadata["protocol"] == "json"

    def read(self, operation: str, body: bytes) -> dict[str, Any]:
        """Return a request's parameters as boto3 takes them.

        Raises:
            Said: A parameter is unknown, missing or of the wrong kind.
        """
        from botocore.validate import ParamValidator

        shape = self.model.operation_model(operation).input_shape
        if self.as_json:
            values: dict[str, Any] = json.loads(body or b"{}")
        else:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            named = {key: fields[key] for key in fields if key not in {"Action", "Version"}}
            values = {} if shape is None else _read(shape, _tree(named))
        if shape is not None:
            report = ParamValidator().validate(values, shape)
            unknown = set(values) - set(shape.members)
            if report.has_errors() or unknown:
                told = report.generate_report() or f"unknown: {', '.join(sorted(unknown))}"
                raise Said("InvalidParameterValue", told)
        return values

    def write(self, operation: str, values: Mapping[str, Any], request_id: str) -> Answer:
        """Return an answer.

        Raises:
            KeyError: The operation's shape does not know a member.
        """
        shape = self.model.operation_model(operation).output_shape
        if self.as_json:
            told = _plain(shape, values)
            body, kind = json.dumps(told).encode(), "application/x-amz-json-1.1"
            return Answer(200, body, {"content-type": kind})
        root = ET.Element(f"{operation}Response", xmlns=self.model.metadata["xmlNamespace"])
        if self.name == "ec2":
            ET.SubElement(root, "requestId").text = request_id
            parent = root
        else:
            wrapper = shape.serialization.get("resultWrapper", f"{operation}Result")
            parent = ET.SubElement(root, wrapper)
            about = ET.SubElement(root, "ResponseMetadata")
            ET.SubElement(about, "RequestId").text = request_id
        if shape is not None:
            _write(parent, shape, values)
        return _xml(root)

    def refuse(self, code: str, message: str, status: int, request_id: str) -> Answer:
        """Return a refusal in the service's form."""
        if self.as_json:
            body = json.dumps({"__type": code, "message": message}).encode()
            return Answer(status, body, {"content-type": "application/x-amz-json-1.1"})
        if self.name == "ec2":
            root = ET.Element("Response")
            error = ET.SubElement(ET.SubElement(root, "Errors"), "Error")
            last = "RequestID"
        else:
            root = ET.Element("ErrorResponse", xmlns=self.model.metadata["xmlNamespace"])
            error = ET.SubElement(root, "Error")
            ET.SubElement(error, "Type").text = "Sender" if status < 500 else "Receiver"
            last = "RequestId"
        ET.SubElement(error, "Code").text = code
        ET.SubElement(error, "Message").text = message
        ET.SubElement(root, last).text = request_id
        return _xml(root, status)


@functools.cache
def service(name: str) -> Service:
    """Return a service by the name that requests to it are signed for; EC2's model takes a quarter of a second."""
    return Service(name)


def _xml(root: ET.Element, status: int = 200) -> Answer:
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return Answer(status, body, {"content-type": "text/xml;charset=UTF-8"})


def _tree(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return `{"Filter.1.Name": "x"}` as `{"Filter": {"1": {"Name": "x"}}}`."""
    root: dict[str, Any] = {}
    for key, value in fields.items():
        at = root
        *path, last = key.split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return root


def _read(shape: Any, node: Any) -> Any:
    """Return what a part of a form says, by EC2's rules for names (botocore's `EC2Serializer`)."""
    if shape.type_name == "structure":
        members = {
            _form_name(name, member): (name, member) for name, member in shape.members.items()
        }
        unknown = sorted(set(node) - set(members))
        if unknown:
            raise Said("UnknownParameter", f"The parameter {unknown[0]} is not recognized")
        return {members[key][0]: _read(members[key][1], part) for key, part in node.items()}
    if shape.type_name == "list":
        return [_read(shape.member, node[key]) for key in sorted(node, key=int)]
    return _READERS.get(shape.type_name, str)(node)


def _form_name(name: str, member: Any) -> str:
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    place = str(member.serialization.get("name", name))
    return place[:1].upper() + place[1:] if "name" in member.serialization else place


def _write(parent: ET.Element, shape: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        member = shape.members[name]
        place = str(member.serialization.get("name", name))
        if value is None:
            continue
        _write_one(parent, place, member, value)


def _write_one(parent: ET.Element, place: str, shape: Any, value: Any) -> None:
    made = ET.SubElement(parent, place)
    if shape.type_name == "structure":
        _write(made, shape, value)
    elif shape.type_name == "list":
        for each in value:
            _write_one(made, shape.member.serialization.get("name", "member"), shape.member, each)
    elif shape.type_name == "boolean":
        made.text = "true" if value else "false"
    elif shape.type_name == "timestamp":
        made.text = time_of(value)
    else:
        made.text = str(value)


def _plain(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        return {name: _plain(shape.members[name], part) for name, part in value.items()}
    if shape.type_name == "list":
        return [_plain(shape.member, part) for part in value]
    return value


def time_of(seconds: float) -> str:
    """Return a Unix time as EC2 writes it."""
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S.000Z}"
