"""A small stand-in for the Hugging Face hub on loopback, for `HF_ENDPOINT`; it cuts, stalls and lies on request.

It answers as the hub was seen to: file lists, redirects of large files to another host, ranges, and refusals with
`X-Error-Code` and `X-Error-Message`. A gated repository answers a wrong token exactly as it answers none, and lets
its list of files and its config.json be read by anyone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = "nvidia/personaplex-7b-v1"
LARGE_BYTES = 10_000
BLOCK = 16_384
OPEN_TO_ALL = {"config.json", "README.md"}
STALL_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """One request that came.

    Attributes:
        place: `hub`, or `cdn` for where large files lie.
        method: GET or HEAD.
        path: With the query.
        range: The bytes asked for, empty for all.
        token: What was sent to authorise it, None for nothing.
    """

    place: str
    method: str
    path: str
    range: str
    token: str | None


@dataclass
class Weather:
    """How the hub is now; may be changed at any moment.

    Attributes:
        cut_after: Break each connection to the files after so many bytes of content.
        cuts: How many connections are still to be broken so; None for each one.
        stall_after: Fall silent after so many bytes, keeping the connection.
        stalls: How many connections are still to fall silent; None for each one.
        bytes_per_s: Speed of each connection, None for no limit.
        wrong: Names of files whose content is changed on the way, and how many times still.
        status: Answer every question with this status, 0 for none.
        busy: How many requests are still answered 503.
        expire: How many addresses of files are still refused as expired.
        ranges: Whether ranges are known at all.
    """

    cut_after: int | None = None
    cuts: int | None = None
    stall_after: int | None = None
    stalls: int | None = None
    bytes_per_s: float | None = None
    wrong: dict[str, int] = field(default_factory=dict)
    status: int = 0
    busy: int = 0
    expire: int = 0
    ranges: bool = True


class Hub:
    """One hub with one repository.

    Args:
        files: Content by path.
        repo: Owner and name.
        gated: Whether it is given only to those who accepted its licence.
        pretend: Sizes to claim for files, whatever their content is.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        repo: str = REPO,
        gated: bool = True,
        pretend: Mapping[str, int] | None = None,
    ) -> None:
        self.repo = repo
        self.gated = gated
        self.weather = Weather()
        self.requests: list[Request] = []
        self.granted = {"hf_granted"}
        self.known = {"hf_granted", "hf_stranger", "hf_waiting", "hf_narrow"}
        self._pretend = dict(pretend or {})
        self._links: dict[str, str] = {}
        self._guard = threading.Lock()
        self._hub = _listen(self, "hub")
        self._cdn = _listen(self, "cdn")
        self.put(files)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Commit new content."""
        self.files = dict(files)
        self.digests = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
        self.commit = _sha1(json.dumps(self.digests, sort_keys=True).encode())

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` shall be."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://127.0.0.1:{self._cdn.server_port}"

    def sent(self, place: str = "cdn") -> list[Request]:
        """Return the requests for content that came so far."""
        return [r for r in list(self.requests) if r.place == place and r.method == "GET"]

    def close(self) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    def size(self, name: str) -> int:
        return self._pretend.get(name, len(self.files[name]))

    def is_large(self, name: str) -> bool:
        return name != "config.json" and self.size(name) >= LARGE_BYTES

    def link(self, name: str) -> str:
        """Make an address for a large file; anyone who has it may read."""
        key = secrets.token_hex(8)
        with self._guard:
            self._links[key] = name
        return f"{self.cdn_url}/{self.digests[name]}?Signature={key}&Expires=9"

    def behind(self, key: str) -> str | None:
        with self._guard:
            return self._links.get(key)

    def spend(self, name: str) -> bool:
        """Take one from a counter of the weather; whether there was one."""
        with self._guard:
            left = getattr(self.weather, name)
            if left is None:
                return True
            setattr(self.weather, name, max(0, left - 1))
            return bool(left > 0)

    def spoil(self, name: str) -> bool:
        with self._guard:
            left = self.weather.wrong.get(name, 0)
            self.weather.wrong[name] = max(0, left - 1)
            return left > 0


@contextlib.contextmanager
def running(files: Mapping[str, bytes], **choices: Any) -> Iterator[Hub]:
    """A hub for the length of a test."""
    hub = Hub(files, **choices)
    try:
        yield hub
    finally:
        hub.close()


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._taken: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        taken = super().get_request()
        self._taken.append(taken[0])
        return taken

    def server_close(self) -> None:
        """Break what clients keep open, so that no thread waits for them."""
        super().server_close()
        for each in self._taken:
            with contextlib.suppress(OSError):  # closed already
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""


def _listen(hub: Hub, place: str) -> _Server:
    handler = type("Handler", (_Handler,), {"hub": hub, "place": place})
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(
        target=server.serve_forever, args=(0.02,), name=f"{place} stand-in", daemon=True
    ).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    place: str
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.requests.append(
            Request(self.place, self.command, self.path, self.headers.get("Range", ""), token)
        )
        weather = self.hub.weather
        if weather.status:
            self._refuse(weather.status, "", "out of order")
        elif weather.busy and self.hub.spend("busy"):
            self._refuse(503, "", "out of order")
        elif self.place == "cdn":
            self._from_cdn()
        else:
            self._from_hub(token)

    do_HEAD = do_GET  # noqa: N815 - the library's way of naming

    def log_message(self, *_: Any) -> None:
        return

    # -- the hub ----------------------------------------------------------------------------------------------

    def _from_hub(self, token: str | None) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/whoami-v2":
            if token in self.hub.known:
                self._answer(200, {"type": "user", "name": "someone"})
            else:
                self._refuse(401, "", "Invalid credentials in Authorization header")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            if self._is_there(found[1], token) and self._has(found[2] or "main"):
                self._describe()
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if self._is_there(found[1], token) and self._has(found[2]):
                self._resolve(found[3], token)
        else:
            self._refuse(404, "", "Sorry, we can't find the page you are looking for.")

    def _is_there(self, repo: str, token: str | None) -> bool:
        if repo == self.hub.repo:
            return True
        if token in self.hub.known:
            self._refuse(404, "RepoNotFound", "Repository not found")
        else:
            self._refuse(401, "", "Invalid username or password.")
        return False

    def _has(self, revision: str) -> bool:
        if revision in {"main", self.hub.commit}:
            return True
        self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return False

    def _describe(self) -> None:
        hub = self.hub
        siblings = []
        for name, body in hub.files.items():
            blob = _sha1(b"blob %d\0" % len(body) + body)
            entry: dict[str, Any] = {"rfilename": name, "size": hub.size(name), "blobId": blob}
            if hub.is_large(name):
                entry["lfs"] = {
                    "sha256": hub.digests[name], "size": hub.size(name), "pointerSize": 135,
                }  # fmt: skip
            siblings.append(entry)
        self._answer(200, {
            "_id": "0", "id": hub.repo, "modelId": hub.repo, "private": False, "tags": [],
            "gated": "auto" if hub.gated else False, "sha": hub.commit, "siblings": siblings,
        })  # fmt: skip

    def _resolve(self, name: str, token: str | None) -> None:
        hub = self.hub
        if hub.gated and name not in OPEN_TO_ALL and not self._is_let_in(token):
            return
        if name not in hub.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif hub.is_large(name):
            headers = {
                "Location": hub.link(name), "X-Repo-Commit": hub.commit, "Accept-Ranges": "bytes",
                "X-Linked-Size": str(hub.size(name)), "X-Linked-ETag": f'"{hub.digests[name]}"',
            }  # fmt: skip
            self._answer(302, None, headers)
        else:
            self._send(name, {"X-Repo-Commit": hub.commit})

    def _is_let_in(self, token: str | None) -> bool:
        repo = self.hub.repo
        if token in self.hub.granted:
            return True
        if token == "hf_waiting":
            words = (
                f"Your request to access model {repo} is awaiting a review from the repo authors."
            )
            self._refuse(403, "GatedRepo", words)
        elif token == "hf_narrow":
            words = (
                "Please enable access to public gated repositories in your fine-grained token "
                "settings to view this repository."
            )
            self._refuse(403, "", words)
        elif token in self.hub.known:
            words = (
                f"Access to model {repo} is restricted and you are not in the authorized list. "
                f"Visit https://huggingface.co/{repo} to ask for access."
            )
            self._refuse(403, "GatedRepo", words)
        else:
            words = (
                f"Access to model {repo} is restricted. You must have access to it and be "
                "authenticated to access it. Please log in."
            )
            self._refuse(401, "GatedRepo", words)
        return False

    # -- where the files lie ----------------------------------------------------------------------------------

    def _from_cdn(self) -> None:
        found = re.search(r"Signature=(\w+)", self.path)
        name = self.hub.behind(found[1]) if found else None
        if name is None or self.hub.spend("expire"):
            self._refuse(403, "", "")
        else:
            self._send(name, {})

    def _send(self, name: str, headers: dict[str, str]) -> None:
        hub, weather = self.hub, self.hub.weather
        body = hub.files[name]
        if body and hub.spoil(name):
            body = body[:-1] + bytes([body[-1] ^ 1])
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, begin = 200, 0
        if asked and weather.ranges:
            begin = int(asked[1])
            end = min(int(asked[2] or len(body) - 1), len(body) - 1)
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(body)}"
            status, body = 206, body[begin : end + 1]
        headers |= {"Content-Length": str(len(body)), "ETag": f'"{hub.digests[name]}"'}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self._pour(body)

    def _pour(self, body: bytes) -> None:
        weather = self.hub.weather
        cut, stall = weather.cut_after, weather.stall_after
        if cut is not None and not (len(body) > cut and self.hub.spend("cuts")):
            cut = None
        if stall is not None and not (len(body) > stall and self.hub.spend("stalls")):
            stall = None
        for at in range(0, len(body), BLOCK):
            block = body[at : at + BLOCK]
            if cut is not None and at + len(block) > cut:
                self.wfile.write(block[: max(0, cut - at)])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if stall is not None and at + len(block) > stall:
                self.wfile.flush()
                self._be_silent()
                return
            self.wfile.write(block)
            if weather.bytes_per_s:
                time.sleep(len(block) / weather.bytes_per_s)

    def _be_silent(self) -> None:
        """Until the client gives up."""
        self.connection.settimeout(STALL_SECONDS)
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        self.close_connection = True

    # -- answers ----------------------------------------------------------------------------------------------

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Request-Id": "Root=1-0"}
        if code:
            headers["X-Error-Code"] = code
        if message:
            headers["X-Error-Message"] = message
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
        self._answer(status, {"error": message}, headers)

    def _answer(self, status: int, values: Any, headers: Mapping[str, str] | None = None) -> None:
        body = b"" if values is None else json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
