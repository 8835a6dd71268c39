"""Has a machine get a model from Hugging Face by itself: by the server's own command, the token on standard input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from personadesk.domain.errors import ProviderFault, Unreachable
from personadesk.domain.model_fetch import REPO, Fetched, fault_of, progress_of
from personadesk.domain.text import T
from personadesk.hosts import commands, hub_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from personadesk.domain.model_fetch import FetchProgress

LIMIT_SECONDS = 24 * 3600.0
"""Not a guess of how long it takes: the command gives up by itself when nothing comes."""


NO_SECRETS = dict.fromkeys(hub_token.VARIABLES, "")
"""A token of ours goes to the command by standard input, so it needs none from our environment."""


class Runner(Protocol):
    """What is needed of a machine; every host is one."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> commands.Completed:
        """Run a program to its end; `stdin` is what it reads."""


class ThisComputer:
    """The machine we are on, as a runner."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> commands.Completed:
        """Run a program to its end; `stdin` is what it reads."""
        return await commands.run(
            argv, limit_s=limit_s, on_line=on_line, stdin=stdin, env=NO_SECRETS | dict(env or {})
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to get, and where to.

    Attributes:
        python: The Python of the server's environment on that machine.
        folder: The model's folder there; it is made.
        repo: Owner and name on Hugging Face.
        revision: Branch, tag or commit; empty for the newest.
    """

    python: str
    folder: str
    repo: str = REPO
    revision: str = ""


def command(wanted: Wanted, *, token_stdin: bool = False, token_file: str = "") -> list[str]:
    """Return the words of the command; for whoever runs it in a way of his own, a job that outlives a connection.

    Args:
        wanted: What to get.
        token_stdin: Whether it shall read the token from standard input.
        token_file: A file there that holds the token; the command removes it. Empty for none.
    """
    words = [
        wanted.python, "-m", "personaplex_server", "fetch-model", "--json",
        "--to", wanted.folder, "--repo", wanted.repo,
    ]  # fmt: skip
    if wanted.revision:
        words += ["--revision", wanted.revision]
    if token_stdin:
        words.append("--token-stdin")
    if token_file:
        words += ["--token-file", token_file]
    return words


class Listener:
    """Understands what the command says.

    Args:
        on_progress: Told about four times a second how far it is.
        on_line: Told whatever is not for programs, for the log.
    """

    def __init__(
        self,
        on_progress: Callable[[FetchProgress], None],
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_line = on_line
        self._end: dict[str, Any] = {}

    def take(self, line: str) -> None:
        """Take one line of the command's output."""
        event = _event(line)
        if event is None:
            if self._on_line is not None:
                self._on_line(line)
        elif event["event"] != "progress":
            self._end = event
        elif (progress := progress_of(event)) is not None:
            self._on_progress(progress)

    def result(self, done: commands.Completed) -> Fetched:
        """Return what came of it.

        Raises:
            PersonaDeskError: As `fetch` does.
        """
        end = self._end
        if end.get("event") == "error":
            raise fault_of(end)
        if done.code != 0 or end.get("event") != "done":
            said = "\n".join(line for line in done.lines if _event(line) is None)
            raise ProviderFault(
                T("The model could not be fetched."),
                T("Try again: it goes on where it stopped; the details say what went wrong."),
                cause="no_model",
                details=said or f"exit status {done.code}",
            )
        return Fetched(
            str(end["folder"]), str(end["commit"]), int(end["size"]), int(end["fetched"]),
            int(end["voices"]),
        )  # fmt: skip


async def fetch(
    machine: Runner,
    wanted: Wanted,
    *,
    token: str | None,
    on_progress: Callable[[FetchProgress], None],
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    limit_s: float = LIMIT_SECONDS,
) -> Fetched:
    """Get a model, or find it there and right; goes on where an earlier call was cut off.

    Args:
        machine: Where to.
        wanted: What.
        token: The user's Hugging Face token, None for none.
        on_progress: Told about four times a second how far it is.
        on_line: Told whatever else the command says, for the log.
        env: Variables for the command, `HF_ENDPOINT` for one; never the token.
        limit_s: How long it may take in all.

    Raises:
        AuthFailed: No token, a bad one, or the licence is not accepted.
        NotFound: There is no such model.
        Unreachable: Hugging Face cannot be reached from there.
        HostUnfit: The disk is too small or refuses.
        PersonaDeskError: Anything else, in words.
    """
    listener = Listener(on_progress, on_line)
    secret = b"" if token is None else f"{token}\n".encode()
    try:
        done = await machine.run(
            command(wanted, token_stdin=token is not None),
            limit_s=limit_s, on_line=listener.take, stdin=secret, env=env,
        )  # fmt: skip
    except commands.CommandTimeout as error:
        raise Unreachable(
            T("Getting the model took too long."),
            T("Try again: it goes on where it stopped."),
            cause="model_timeout",
            details=str(error),
        ) from error
    return listener.result(done)


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
