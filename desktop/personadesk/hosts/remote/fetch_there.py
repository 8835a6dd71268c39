"""Fetches a model from its hub onto this host. Run there by any Python from 3.9 on, with nothing installed.

    fetch_there.py FOLDER REPOSITORY [--token-file FILE] [--endpoint URL] FILE... [--also FILE...]

What is there and right is left alone; what was cut goes on where it stopped; each file gets its name only when its
hash is the one that the hub tells. The token's file is removed as soon as it is read. Prints `BYTES done total speed`.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXIT_TOKEN_NEEDED, EXIT_BAD_TOKEN, EXIT_GATED, EXIT_MISSING = 31, 32, 33, 34
EXIT_NETWORK, EXIT_DAMAGED, EXIT_DISK, EXIT_HUB = 35, 36, 37, 38
CHUNK = 1 << 18
TRIES = 8
"""Failures in a row without a byte between them; each byte makes it hope anew."""
FIRST_TRIES = 4
"""For the first answer: a hub that cannot be reached at all should be told soon."""
LIMIT_SECONDS = 30.0
TELL_SECONDS = 0.5


class Failed(Exception):
    """A fetch that cannot go on; the exit status tells why."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


@dataclass
class Item:
    """One file of the repository."""

    name: str
    url: str
    size: int
    etag: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """Hands redirects to us: the token must not follow them to another machine."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Hub:
    """Asks the hub."""

    def __init__(self, endpoint: str, repository: str, revision: str, token: str) -> None:
        self._base = f"{endpoint.rstrip('/')}/{repository}/resolve/{revision}"
        self._token = token
        self._opener = urllib.request.build_opener(_Stay)

    def item(self, name: str, *, needed: bool) -> Item | None:
        """Return what the hub says of a file; None when it has none and none is needed."""
        url = f"{self._base}/{urllib.parse.quote(name)}"
        try:
            answer = self._again(lambda: self._open(url, "HEAD", {"Accept-Encoding": "identity"}))
        except Failed as error:
            if error.status == EXIT_MISSING and not needed:
                return None
            raise
        with answer:
            headers = answer.headers
        size = headers.get("X-Linked-Size") or headers.get("Content-Length")
        etag = (
            (headers.get("X-Linked-Etag") or headers.get("ETag") or "")
            .removeprefix("W/")
            .strip('"')
        )
        if size is None:
            raise Failed(EXIT_HUB, f"the hub does not tell the size of {name}")
        return Item(name, url, int(size), etag)

    def body(self, item: Item, start: int) -> Any:
        """Open a file's content from `start` on."""
        extra = {"Accept-Encoding": "identity"}
        if start:
            extra["Range"] = f"bytes={start}-"
        return self._open(item.url, "GET", extra)

    def _again(self, work: Any) -> Any:
        for left in reversed(range(FIRST_TRIES)):
            try:
                return work()
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise Failed(EXIT_NETWORK, f"the hub does not answer: {error}") from error
                time.sleep(pause(FIRST_TRIES - left))
        raise AssertionError

    def _open(self, url: str, method: str, extra: dict[str, str]) -> Any:
        home = urllib.parse.urlsplit(url).netloc
        linked: dict[str, str] = {}
        for _ in range(8):
            headers = {"User-Agent": "personadesk", **extra}
            if self._token and urllib.parse.urlsplit(url).netloc == home:
                headers["Authorization"] = f"Bearer {self._token}"
            if not url.startswith(("http://", "https://")):
                raise Failed(EXIT_HUB, f"the hub leads to {url}")
            request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - checked above
            try:
                answer = self._opener.open(request, timeout=LIMIT_SECONDS)
            except urllib.error.HTTPError as error:
                if error.code in {301, 302, 303, 307, 308} and error.headers.get("Location"):
                    linked.update(
                        {
                            k: v
                            for k, v in error.headers.items()
                            if k.lower().startswith("x-linked-")
                        }
                    )
                    url = urllib.parse.urljoin(url, error.headers["Location"])
                    error.close()
                    continue
                raise self._refused(error) from error
            for name, value in linked.items():
                answer.headers[name] = value
            return answer
        raise Failed(EXIT_HUB, "the hub leads in a circle")

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        code = error.headers.get("X-Error-Code", "")
        said = error.headers.get("X-Error-Message", "") or str(error.reason)
        error.close()
        if error.code == 401:
            if not self._token:
                return Failed(EXIT_TOKEN_NEEDED, said)
            return Failed(EXIT_GATED if code == "GatedRepo" else EXIT_BAD_TOKEN, said)
        if error.code == 403:
            return Failed(EXIT_GATED, said)
        if error.code == 404:
            return Failed(EXIT_MISSING, said)
        if error.code == 416:
            return Failed(EXIT_DAMAGED, said)
        if error.code == 429 or error.code >= 500:
            return ConnectionError(f"the hub answers {error.code} {said}")
        return Failed(EXIT_HUB, f"the hub answers {error.code} {said}")


class Meter:
    """Tells how far it is."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._told = 0.0
        self._recent: list[tuple[float, int]] = []

    def had(self, count: int) -> None:
        """Count bytes that were there already."""
        self._done += count
        self._recent = []

    def add(self, count: int) -> None:
        """Count bytes that came; negative when some must come again."""
        self._done += count
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self.tell(now)

    def tell(self, now: float) -> None:
        """Print it."""
        self._told = now
        self._recent = [*self._recent[-20:], (now, self._done)]
        (first, before), (last, after) = self._recent[0], self._recent[-1]
        speed = (after - before) / (last - first) if last > first else 0
        print(f"BYTES {self._done} {self._total} {max(0, speed):.0f}", flush=True)


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(0.25 * 2**failures, 20.0))


def right(path: Path, item: Item) -> bool:
    """Whether a file is the one that the hub has, by size and by the hash that the hub tells."""
    try:
        if path.stat().st_size != item.size:
            return False
    except FileNotFoundError:
        return False
    if len(item.etag) == 64:
        digest = hashlib.sha256()
    elif len(item.etag) == 40:
        digest = hashlib.sha1(f"blob {item.size}\0".encode(), usedforsecurity=False)
    else:
        return True
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == item.etag.lower()


def fetch(hub: Hub, item: Item, folder: Path, meter: Meter) -> None:
    """Fetch one file; goes on where an earlier attempt stopped."""
    path = folder / item.name
    path.parent.mkdir(parents=True, exist_ok=True)
    # The hash is part of the name: a part of an older revision is not gone on with.
    part = path.with_name(f".{path.name}.{item.etag[:12] or 'part'}.part")
    start = part.stat().st_size if part.exists() else 0
    if start > item.size:
        part.unlink()
        start = 0
    meter.had(start)
    failures = 0
    while start < item.size:
        try:
            start, came = _pour(hub, item, part, start, meter)
            failures = 0 if came else failures + 1
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Failed(EXIT_DISK, str(error)) from error
            now = part.stat().st_size if part.exists() else 0
            failures = 0 if now > start else failures + 1
            start = now
            print(f"cut at {start} of {item.size}: {error}", flush=True)
        if failures >= TRIES:
            raise Failed(EXIT_NETWORK, f"{item.name} does not come on")
        if start < item.size:
            time.sleep(pause(failures))
    part.touch()
    if not right(part, item):
        part.unlink()
        raise Failed(EXIT_DAMAGED, f"{item.name} is not what the hub says it is")
    part.replace(path)


def _pour(hub: Hub, item: Item, part: Path, start: int, meter: Meter) -> tuple[int, bool]:
    came = False
    with hub.body(item, start) as answer:
        if start and answer.status != 206:
            # It sends everything again.
            meter.add(-start)
            start = 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while start < item.size:
                chunk = answer.read1(CHUNK)
                if not chunk:
                    break
                file.write(chunk)
                file.flush()
                start += len(chunk)
                came = True
                meter.add(len(chunk))
    return start, came


def main() -> int:
    """Fetch everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("repository")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--also", nargs="*", default=[])
    parser.add_argument("--revision", default="main")
    parser.add_argument(
        "--endpoint", default=os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    )
    parser.add_argument("--token-file", type=Path)
    options = parser.parse_args()
    token = os.environ.get("HF_TOKEN", "")
    if options.token_file is not None and options.token_file.exists():
        token = options.token_file.read_text(encoding="utf-8").strip()
        options.token_file.unlink()
    hub = Hub(options.endpoint, options.repository, options.revision, token)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        items = [hub.item(name, needed=True) for name in options.files]
        items += [hub.item(name, needed=False) for name in options.also]
        wanted = [item for item in items if item is not None]
        meter = Meter(sum(item.size for item in wanted))
        for item in wanted:
            if right(options.folder / item.name, item):
                meter.had(item.size)
                continue
            fetch(hub, item, options.folder, meter)
        meter.tell(time.monotonic())
    except Failed as error:
        print(error, flush=True)
        return error.status
    except OSError as error:
        print(error, flush=True)
        return EXIT_DISK if error.errno in {errno.ENOSPC, errno.EDQUOT} else EXIT_HUB
    return 0


if __name__ == "__main__":
    sys.exit(main())
