"""moto's server as AWS, and a door in front of it that judges every request, refuses on demand and loses answers.

moto is the work of others and behaves like EC2 where it counts: states, tags, addresses, dry runs. What it lacks is put
into the door: refusals for lack of capacity, delays, pages, and the public parameter with AWS's newest GPU image.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from peers.contracts import SPECS
from peers.sshd import free_port

START_SECONDS = 60.0
IMAGE = "ami-dca37ea5"
"""A Deep Learning image that moto knows (Ubuntu, 15 GB)."""
REGIONS = ("us-east-1", "eu-west-1")
"""moto has all regions of all partitions; an account sees those that it has switched on."""
CONTRACTS = {
    "ec2": "aws-ec2.service-2.json",
    "sts": "aws-sts.service-2.json",
    "servicequotas": "aws-service-quotas.service-2.json",
    "pricing": "aws-pricing.service-2.json",
}

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request that went through the door.

    Attributes:
        service: As it is signed for: `ec2`.
        region: As well.
        action: `RunInstances`.
        parameters: Form fields, or the JSON body.
    """

    service: str
    region: str
    action: str
    parameters: Parameters


@dataclass
class Trick:
    """What the door does with one kind of request instead of passing it on.

    Attributes:
        action: The kind.
        when: Looks at the call; True where it is meant.
        times: How often it is still done; negative for ever.
        answer: Status, and body by the service's protocol; None to pass it on.
        lose: Pass it on, then break the connection instead of answering.
        change: Pass it on, then change the answer's text.
    """

    action: str
    when: Callable[[Call], bool] = lambda _call: True
    times: int = 1
    answer: tuple[int, str] | None = None
    lose: bool = False
    change: Callable[[str], str] | None = None


@dataclass
class Door:
    """Listens on loopback and passes on to moto.

    Attributes:
        url: Where it listens; the account's base URL.
        moto: Where moto is.
        calls: Every request since the last `reset`.
        broken: What broke AWS's own contract.
    """

    moto: str
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    tricks: list[Trick] = field(default_factory=list)

    def reset(self) -> None:
        """Forget everything, here and in moto."""
        self.calls, self.broken, self.tricks = [], [], []
        tell(f"{self.moto}/moto-api/reset")

    def refuse(
        self, action: str, code: str, message: str = "No.", *, status: int = 400, times: int = -1,
        when: Callable[[Call], bool] = lambda _call: True,
    ) -> None:  # fmt: skip
        """Refuse a kind of request with one of AWS's codes."""
        self.tricks.append(Trick(action, when, times, answer=(status, f"{code}\0{message}")))

    def answer(self, action: str, body: Any, *, times: int = -1) -> None:
        """Answer a kind of request of a JSON service."""
        self.tricks.append(Trick(action, times=times, answer=(200, json.dumps(body))))

    def lose(self, action: str, times: int = 1) -> None:
        """Let a kind of request take effect and break the connection."""
        self.tricks.append(Trick(action, times=times, lose=True))

    def change(
        self, action: str, old: str, new: str, times: int = -1,
        when: Callable[[Call], bool] = lambda _call: True,
    ) -> None:  # fmt: skip
        """Change moto's answers to a kind of request, by a pattern."""
        self.tricks.append(
            Trick(action, when, times, change=lambda text: re.sub(old, new, text, flags=re.DOTALL))
        )

    def made(self, action: str) -> list[Call]:
        """Return the requests of a kind."""
        return [call for call in self.calls if call.action == action]

    def trick_for(self, call: Call) -> Trick | None:
        """Return what is to be done with a request; the newest order counts."""
        for trick in reversed(self.tricks):
            if trick.action == call.action and trick.times and trick.when(call):
                trick.times -= 1
                return trick
        return None

    def judge(self, call: Call) -> None:
        """Hold a request against AWS's own model of the service."""
        name = CONTRACTS.get(call.service)
        if name is None:
            return
        model = _model(name, call.service)
        if call.action not in model["operations"]:
            # The contracts beside this checkout are trimmed; boto3's own copy of AWS's model has all.
            model = _model("", call.service)
        operation = model["operations"].get(call.action)
        if operation is None:
            self.broken.append(f"{call.service} has no {call.action}")
            return
        shape = operation.get("input", {}).get("shape")
        for key, value in call.parameters.items():
            if key in {"Action", "Version"}:
                continue
            as_form = model["metadata"]["protocol"] in {"ec2", "query"}
            told = _wrong(model, shape, key.split(".") if as_form else [key])
            if told:
                self.broken.append(f"{call.action}: {key}={value!r}: {told}")
        required = model["shapes"].get(shape, {}).get("required", []) if shape else []
        given = {key.split(".")[0] for key in call.parameters}
        for member in required:
            wire_name = _wire_name(model, member, model["shapes"][shape]["members"][member])
            if wire_name not in given and member not in given:
                self.broken.append(f"{call.action}: {member} is missing")


@functools.cache
def _model(name: str, service: str) -> dict[str, Any]:
    """Return AWS's model of a service: the one beside this checkout, else (and without a name) boto3's own copy."""
    path = SPECS / name
    if name and path.exists():
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return values
    from botocore.loaders import Loader

    folder = {"servicequotas": "service-quotas"}.get(service, service)
    copy: dict[str, Any] = Loader().load_service_model(folder, "service-2")
    return copy


def _wire_name(model: dict[str, Any], name: str, member: dict[str, Any]) -> str:
    """Return a member's name in a request: EC2's own rule is its location name with a capital."""
    if model["metadata"]["protocol"] == "ec2":
        place = member.get("locationName", name)
        return str(member.get("queryName", place[:1].upper() + place[1:]))
    return str(member.get("locationName", name))


def _wrong(model: dict[str, Any], shape_name: str | None, path: list[str]) -> str:
    """Return what is wrong with a form field's name by the service's model, "" for nothing."""
    shape = model["shapes"].get(shape_name or "", {})
    if shape.get("type") == "list" and path and path[0].isdigit():
        return _wrong(model, shape["member"]["shape"], path[1:])
    if not path or model["metadata"]["protocol"] not in {"ec2", "query"}:
        return "" if not path or path[0] in shape.get("members", {}) else "unknown"
    if shape.get("type") != "structure":
        return f"{shape_name} has no parts"
    for name, member in shape["members"].items():
        if _wire_name(model, name, member) == path[0]:
            return _wrong(model, member["shape"], path[1:])
    return f"{shape_name} has no {path[0]}"


def tell(url: str, body: str = "") -> str:
    """Make one POST to moto's own API."""
    request = urllib.request.Request(url, data=body.encode(), method="POST")  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
        text: str = answer.read().decode()
        return text


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's server for the duration; gives its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=variables,
    )  # fmt: skip
    try:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                tell(f"{url}/moto-api/reset")
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError("moto's server did not start")
        yield url
    finally:
        process.kill()  # nothing of it is worth keeping
        process.wait()


@contextlib.contextmanager
def door_to(moto: str) -> Iterator[Door]:
    """Run a door in front of moto for the duration."""
    door = Door(moto)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            call = call_of(dict(self.headers.items()), body)
            door.calls.append(call)
            door.judge(call)
            trick = door.trick_for(call)
            if trick is not None and trick.answer is not None:
                self._send(*_refusal(call, *trick.answer))
                return
            if trick is None and (usual := _usual(call)) is not None:
                self._send(200, usual, "application/x-amz-json-1.1")
                return
            status, text, kind = _pass_on(door.moto + self.path, dict(self.headers.items()), body)
            if trick is not None and trick.lose:
                self.close_connection = True
                return
            if trick is not None and trick.change is not None:
                text = trick.change(text)
            elif call.action == "DescribeRegions":
                text = _only(text, REGIONS)
            self._send(status, text, kind)

        def _send(self, status: int, text: str, kind: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.send_header("x-amzn-requestid", "req-1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="door to moto", daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def call_of(headers: dict[str, str], body: bytes) -> Call:
    """Return what a request asks for."""
    lower = {name.lower(): value for name, value in headers.items()}
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", lower.get("authorization", ""))
    region, service = scope.groups() if scope else ("", "")
    target = lower.get("x-amz-target", "")
    if target:
        return Call(service, region, target.rpartition(".")[2], json.loads(body or b"{}"))
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Call(service, region, fields.get("Action", ""), fields)


def _pass_on(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
    passed = {k: v for k, v in headers.items() if k.lower() not in {"content-length", "connection"}}
    request = urllib.request.Request(url, data=body, headers=passed, method="POST")  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode(), answer.headers.get("content-type", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers.get("content-type", "")


def _refusal(call: Call, status: int, text: str) -> tuple[int, str, str]:
    code, is_refusal, message = text.partition("\0")
    if not is_refusal:
        return status, text, "application/x-amz-json-1.1"
    if call.service == "ec2":
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<Response><Errors>{error}</Errors><RequestID>req-1</RequestID></Response>"
        return status, body, "text/xml"
    if call.service == "sts":
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return (
            status,
            f"<ErrorResponse>{error}<RequestId>req-1</RequestId></ErrorResponse>",
            "text/xml",
        )
    return status, json.dumps({"__type": code, "message": message}), "application/x-amz-json-1.1"


def _usual(call: Call) -> str | None:
    """Return what moto lacks but every AWS has: the parameter with the newest GPU image."""
    if call.action == "GetParameter" and "/deeplearning/" in call.parameters.get("Name", ""):
        return json.dumps({"Parameter": {"Name": call.parameters["Name"], "Value": IMAGE}})
    return None


def _only(text: str, regions: tuple[str, ...]) -> str:
    items = re.findall(r"<item>.*?</item>", text, flags=re.DOTALL)
    for item in items:
        if not any(f"<regionName>{region}</regionName>" in item for region in regions):
            text = text.replace(item, "")
    return text
