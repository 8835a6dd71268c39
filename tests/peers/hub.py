"""A small stand-in for the model hub: redirects, ranges, hashes, tokens, licences, cuts."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Hub:
    """A hub with one repository.

    Attributes:
        files: Content by name; those that end in .safetensors are stored elsewhere, behind a redirect.
        token: The right token; "" lets everybody in.
        accepted: Whether the token's owner has accepted the licence.
        cut_after: After so many bytes of a body the connection is cut, as often as `cuts` says.
        cuts: How often still.
        ranges: Whether it can send a part.
        wrong: Names of files of which it sends something else.
        faults: Statuses that it answers with first, in this order.
        asked: Method, path and range of every request.
        stored_with: The Authorization headers that came to where files are stored.
    """

    files: dict[str, bytes]
    repository: str = "nvidia/personaplex-7b-v1"
    token: str = ""
    accepted: bool = True
    cut_after: int = 0
    cuts: int = 0
    ranges: bool = True
    wrong: set[str] = field(default_factory=set)
    faults: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    stored_with: list[str] = field(default_factory=list)

    def __enter__(self) -> Hub:
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), self._handler(stored=stored))
            for stored in (False, True)
        ]
        self._threads = [threading.Thread(target=each.serve_forever) for each in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for each in self._servers:
            each.shutdown()
            each.server_close()
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    def _handler(self, *, stored: bool) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Say nothing."""

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
                if hub.faults:
                    return self._refuse(hub.faults.pop(0), "", "busy")
                if stored:
                    hub.stored_with.append(self.headers.get("Authorization", ""))
                    return self._content(unquote(self.path.lstrip("/")), body)
                head = f"/{hub.repository}/resolve/main/"
                if not self.path.startswith(head):
                    return self._refuse(404, "RepoNotFound", "Repository not found")
                if hub.token:
                    given = self.headers.get("Authorization", "")
                    if not given:
                        return self._refuse(401, "GatedRepo", "Access to model is restricted")
                    if given != f"Bearer {hub.token}":
                        return self._refuse(401, "", "Invalid credentials in Authorization header")
                    if not hub.accepted:
                        return self._refuse(403, "GatedRepo", "You are not in the authorized list")
                name = unquote(self.path.removeprefix(head))
                if name not in hub.files:
                    return self._refuse(404, "EntryNotFound", "Entry not found")
                if name.endswith(".safetensors"):
                    return self._elsewhere(name)
                return self._content(name, body)

            def _elsewhere(self, name: str) -> None:
                data = hub.files[name]
                self.send_response(302)
                self.send_header("X-Linked-Size", str(len(data)))
                self.send_header("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"')
                port = hub._servers[1].server_address[1]
                self.send_header("Location", f"http://127.0.0.1:{port}/{name}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _content(self, name: str, body: bool) -> None:
                data = hub.files[name]
                git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()  # noqa: S324 - as git does
                start = 0
                wanted = self.headers.get("Range", "")
                if wanted and hub.ranges:
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                sent = data[start:]
                if name in hub.wrong:
                    sent = bytes(len(sent))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(sent)))
                self.send_header("ETag", f'"{git}"')
                self.end_headers()
                if not body:
                    return
                if hub.cuts > 0 and 0 < hub.cut_after < len(sent):
                    hub.cuts -= 1
                    self.wfile.write(sent[: hub.cut_after])
                    self.close_connection = True
                    return
                self.wfile.write(sent)

            def _refuse(self, status: int, code: str, words: str) -> None:
                self.send_response(status)
                if code:
                    self.send_header("X-Error-Code", code)
                self.send_header("X-Error-Message", words)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler
