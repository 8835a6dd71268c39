"""What Hugging Face says of a repository, and what its refusals mean; the one place that knows its library."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from personaplex_server import __version__

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Result = TypeVar("_Result")

_TRIES: Final = 3
_ANSWER_SECONDS: Final = 20.0


class Passing(Exception):
    """A trouble that may be over in a moment.

    Attributes:
        fault: What to tell when it does not pass.
        after_s: How long the hub asked to wait, 0 where it did not say.
    """

    def __init__(self, fault: faults.FetchError, after_s: float = 0.0) -> None:
        self.fault = fault
        self.after_s = after_s
        super().__init__(str(fault))


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of the repository.

    Attributes:
        name: Its path there.
        size: Bytes.
        digest: What its content must hash to: `sha256:…` for large files, `git:…` (a blob's name) for small ones.
    """

    name: str
    size: int
    digest: str


class Hub:
    """One repository, asked with one token.

    Args:
        repo: Owner and name.
        revision: Branch, tag or commit; None for the newest.
        token: The user's token, None for none. It is sent to the hub alone, not to where the hub redirects.
        endpoint: Where the hub is; None for `HF_ENDPOINT`, or the one everybody knows.
    """

    def __init__(
        self, repo: str, revision: str | None, token: str | None, endpoint: str | None = None
    ) -> None:
        # What runs here and with which programs is nobody's business; unasked, the library tells it.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import huggingface_hub
        from huggingface_hub import constants, errors

        self.repo = repo
        self.revision = revision
        self._token = token
        self._endpoint = endpoint or constants.ENDPOINT
        # Without a token `False` keeps the library from looking for one by itself.
        self._given: str | bool = token or False
        self._api = huggingface_hub.HfApi(
            endpoint=self._endpoint,
            token=self._given,
            library_name="personaplex-server",
            library_version=__version__,
        )
        self._answered: type[errors.HfHubHTTPError] = errors.HfHubHTTPError
        self._offline: type[Exception] = errors.OfflineModeIsEnabled
        self._misnamed: type[Exception] = errors.HFValidationError

    @cached_property
    def session(self) -> Any:
        """The library's own HTTP client: the same proxies and certificates for questions and for files."""
        import huggingface_hub

        return huggingface_hub.get_session()

    @cached_property
    def trouble(self) -> type[Exception]:
        """What the HTTP client raises when a connection fails; the library's answers are of that kind too."""
        return self._answered.__mro__[1]

    @property
    def host(self) -> str:
        """Where the hub is, for people."""
        return urlsplit(self._endpoint).netloc or self._endpoint

    def look(self) -> tuple[str, dict[str, RemoteFile]]:
        """Return the commit and its files by name.

        Raises:
            FetchError: The hub refuses or cannot be reached.
        """
        info = self._patiently(
            lambda: self._api.model_info(
                self.repo, revision=self.revision, files_metadata=True, timeout=_ANSWER_SECONDS
            )
        )
        found = {}
        for each in info.siblings or ():
            digest = f"sha256:{each.lfs.sha256}" if each.lfs else f"git:{each.blob_id}"
            size = each.lfs.size if each.lfs else each.size
            if size is not None:
                found[each.rfilename] = RemoteFile(each.rfilename, size, digest)
        return info.sha or self.revision or "main", found

    def address(self, name: str, commit: str) -> str:
        """Return the URL of a file."""
        import huggingface_hub

        return huggingface_hub.hf_hub_url(self.repo, name, revision=commit, endpoint=self._endpoint)

    def headers(self) -> dict[str, str]:
        """Return what a request for a file carries; the token is in it."""
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # public by its documentation

        return build_hf_headers(
            token=self._given, library_name="personaplex-server", library_version=__version__
        )

    def refusal(
        self, status: int, headers: Mapping[str, str], name: str = ""
    ) -> faults.FetchError | Passing:
        """Say what an answer other than success means.

        Args:
            status: The HTTP status.
            headers: The answer's headers.
            name: The file that was asked for.
        """
        code = headers.get("x-error-code", "").lower()
        message = headers.get("x-error-message", "")
        details = f"{status} {headers.get('x-error-code', '')} {message}".strip()
        if status in {408, 425, 429} or status >= 500:
            return Passing(
                faults.hub_fault(self.host, status, details), _seconds(headers.get("retry-after"))
            )
        if status not in {401, 403, 404, 410}:
            return faults.hub_fault(self.host, status, details)
        if code == "revisionnotfound":
            return faults.no_revision(self.repo, self.revision or "main", details)
        if code == "entrynotfound":
            return faults.no_file(self.repo, name, details)
        # A gated repository answers a wrong token as it answers none, so the token is asked about by itself.
        if self._token is not None and status in {401, 404} and not self._token_is_known():
            return faults.bad_token(details)
        said = message.lower()
        if code == "gatedrepo" or "gated repositories" in said:
            if self._token is None:
                return faults.no_token(self.repo, details)
            if "fine-grained" in said or "token settings" in said:
                return faults.weak_token(self.repo, details)
            if "awaiting a review" in said:
                return faults.pending(self.repo, details)
            return faults.gated(self.repo, details)
        if status == 403:
            return faults.weak_token(self.repo, details)
        return faults.no_repo(self.repo, with_token=self._token is not None, details=details)

    def unreachable(self, error: Exception) -> faults.FetchError:
        """Say that a connection failed."""
        name = type(error).__name__
        return faults.unreachable(
            self.host, f"{name}: {error}", timed_out=name in {"ReadTimeout", "WriteTimeout"}
        )

    def _token_is_known(self) -> bool:
        try:
            self._api.whoami(token=self._token)
        except self._answered as error:
            return bool(error.response.status_code != 401)
        except self.trouble:
            return True  # nothing was learnt; the first answer stands
        return True

    def _patiently(self, ask: Callable[[], _Result]) -> _Result:
        for attempt in range(_TRIES):
            try:
                return ask()
            except self._answered as error:
                refusal = self.refusal(error.response.status_code, error.response.headers)
                if not isinstance(refusal, Passing):
                    raise refusal from error
                fault, after = refusal.fault, refusal.after_s
            except self._offline as error:
                raise faults.unreachable(self.host, f"HF_HUB_OFFLINE is set: {error}") from error
            except self._misnamed as error:
                raise faults.no_repo(
                    self.repo, with_token=self._token is not None, details=str(error)
                ) from error
            except self.trouble as error:
                fault, after = self.unreachable(error), 0.0
            if attempt == _TRIES - 1:
                raise fault
            time.sleep(min(max(after, 0.4 * 2**attempt), 10.0))
        raise AssertionError("not reached")


def _seconds(value: str | None) -> float:
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, float(value or 0))
    return 0.0
