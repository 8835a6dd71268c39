"""The ways in which getting a model can fail, each with its sentence, what to do next, and an exit code of its own."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Final

WEBSITE: Final = "https://huggingface.co"
TOKENS_PAGE: Final = f"{WEBSITE}/settings/tokens"


class Exit(IntEnum):
    """Exit codes of `fetch-model`; programs may rely on them."""

    USAGE = 2
    GATED = 10
    BAD_TOKEN = 11
    NO_TOKEN = 12
    NOT_FOUND = 13
    UNREACHABLE = 14
    DISK_FULL = 15
    HASH_MISMATCH = 16
    HUB_FAULT = 17
    BAD_ARCHIVE = 18
    FILES = 19


class FetchError(Exception):
    """Why the model could not be had.

    Attributes:
        exit: The exit code.
        cause: A short word for programs, finer than the exit code.
        what: What happened, one sentence.
        next: What to do now, one sentence.
        link: The page to open, empty where there is none.
        details: The raw answer.
        values: What the sentence is about, for programs that say it in their own words.
    """

    def __init__(
        self,
        exit_: Exit,
        cause: str,
        what: str,
        next_: str,
        *,
        link: str = "",
        details: str = "",
        **values: str | int,
    ) -> None:
        self.exit = exit_
        self.cause = cause
        self.what = what
        self.next = next_
        self.link = link
        self.details = details
        self.values = values
        super().__init__(what)


def no_token(repo: str, details: str = "") -> FetchError:
    """The repository is gated, and nobody said who asks."""
    link = f"{WEBSITE}/{repo}"
    return FetchError(
        Exit.NO_TOKEN,
        "no_token",
        f"The model {repo} is given only to people who accepted its licence, so a Hugging Face token "
        "is needed.",
        f"Accept the licence at {link}, make a token of the kind “Read” at {TOKENS_PAGE}, and give it.",
        link=link,
        details=details,
        repo=repo,
    )


def gated(repo: str, details: str = "") -> FetchError:
    """The token is good; its owner has not accepted the licence."""
    link = f"{WEBSITE}/{repo}"
    return FetchError(
        Exit.GATED,
        "gated",
        f"Your Hugging Face account has not accepted the licence of the model {repo}.",
        f"Open {link} with that account, accept the licence, then try again.",
        link=link,
        details=details,
        repo=repo,
    )


def pending(repo: str, details: str = "") -> FetchError:
    """The owners of the repository look at each request themselves, and have not yet."""
    link = f"{WEBSITE}/{repo}"
    return FetchError(
        Exit.GATED,
        "gated_pending",
        f"Your request for access to the model {repo} waits for its owners to look at it.",
        f"Wait for their answer (you can see it at {link}), then try again.",
        link=link,
        details=details,
        repo=repo,
    )


def bad_token(details: str = "") -> FetchError:
    """Hugging Face does not know the token."""
    return FetchError(
        Exit.BAD_TOKEN,
        "bad_token",
        "Hugging Face does not accept this token: it is mistyped, expired or was withdrawn.",
        f"Make a token of the kind “Read” at {TOKENS_PAGE}, and give that one.",
        link=TOKENS_PAGE,
        details=details,
    )


def weak_token(repo: str, details: str = "") -> FetchError:
    """The token is known, but was not given the right to read this."""
    return FetchError(
        Exit.BAD_TOKEN,
        "weak_token",
        f"This Hugging Face token was not given the right to read the model {repo}.",
        "Allow it to read public gated repositories in its settings at "
        f"{TOKENS_PAGE}, or make a token of the kind “Read”, then try again.",
        link=TOKENS_PAGE,
        details=details,
        repo=repo,
    )


def no_repo(repo: str, *, with_token: bool, details: str = "") -> FetchError:
    """There is no such repository, or it is hidden from us; Hugging Face tells neither apart."""
    hidden = "this token may not see it" if with_token else "it is private and needs a token"
    return FetchError(
        Exit.NOT_FOUND,
        "no_repo",
        f"There is no model {repo} on Hugging Face, or {hidden}.",
        "Check its name, in the form owner/name, then try again.",
        link=f"{WEBSITE}/{repo}",
        details=details,
        repo=repo,
    )


def no_revision(repo: str, revision: str, details: str = "") -> FetchError:
    """The repository has no such branch, tag or commit."""
    return FetchError(
        Exit.NOT_FOUND,
        "no_revision",
        f"The model {repo} has no revision “{revision}”.",
        "Name another one, or none for the newest.",
        details=details,
        repo=repo,
        revision=revision,
    )


def no_file(repo: str, name: str, details: str = "") -> FetchError:
    """The repository is not laid out as the released model."""
    return FetchError(
        Exit.NOT_FOUND,
        "no_file",
        f"The repository {repo} has no file {name}, so it is not a PersonaPlex model.",
        "Name a repository laid out as nvidia/personaplex-7b-v1.",
        details=details,
        repo=repo,
        file=name,
    )


def unreachable(host: str, details: str = "", *, timed_out: bool = False) -> FetchError:
    """No connection, or nothing came over it for too long."""
    return FetchError(
        Exit.UNREACHABLE,
        "timeout" if timed_out else "offline",
        f"{host} sent nothing for too long."
        if timed_out
        else f"{host} cannot be reached from this machine.",
        "Check this machine's way to the internet, then try again: it goes on where it stopped.",
        details=details,
        host=host,
    )


def hub_fault(host: str, status: int, details: str = "") -> FetchError:
    """The hub is broken or will not be asked so often."""
    if status == 429:
        return FetchError(
            Exit.HUB_FAULT,
            "rate_limited",
            f"{host} was asked too often from here and refuses for a while.",
            "Try again in a few minutes: it goes on where it stopped.",
            details=details,
            host=host,
        )
    return FetchError(
        Exit.HUB_FAULT,
        "hub_fault",
        f"{host} answered with an error of its own ({status}).",
        "Try again in a few minutes: it goes on where it stopped.",
        details=details,
        host=host,
        status=status,
    )


def disk_full(folder: str, needed: int, free: int) -> FetchError:
    """There is too little room for what is still missing."""
    return FetchError(
        Exit.DISK_FULL,
        "disk_full",
        f"There is too little disk space in {folder}: {gigabytes(needed)} more is needed, "
        f"{gigabytes(free)} is free.",
        "Free some space or name a folder on another disk, then try again.",
        details=f"needed {needed} bytes, free {free} bytes",
        folder=folder,
        needed=needed,
        free=free,
    )


def files(error: OSError) -> FetchError:
    """The disk refuses: it is full after all, or a folder may not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return FetchError(
            Exit.DISK_FULL,
            "disk_full",
            "The disk is full.",
            "Free some space, then try again: it goes on where it stopped.",
            details=str(error),
        )
    return FetchError(
        Exit.FILES,
        "files",
        f"A file or folder cannot be used: {error.strerror or error}.",
        "Look at the details, mend it or name another folder, then try again.",
        details=str(error),
        reason=error.strerror or str(error),
    )


def hash_mismatch(name: str, expected: str, found: str) -> FetchError:
    """The file came wrong twice."""
    return FetchError(
        Exit.HASH_MISMATCH,
        "hash_mismatch",
        f"{name} came with wrong content twice, so it was thrown away.",
        "Try again on another network: something between here and Hugging Face changes what it carries.",
        details=f"expected {expected}, got {found}",
        file=name,
    )


def bad_archive(name: str, details: str) -> FetchError:
    """The voices cannot be unpacked."""
    return FetchError(
        Exit.BAD_ARCHIVE,
        "bad_archive",
        f"{name} cannot be unpacked safely.",
        "Check that the repository is the one you meant; nothing of it was unpacked.",
        details=details,
        file=name,
    )


def gigabytes(count: float) -> str:
    """Return a number of bytes as people read it (decimal, as disks are sold)."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
