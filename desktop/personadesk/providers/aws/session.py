"""One account's way to AWS: boto3 in worker threads, loaded at the first call, with limits on rate and time.

boto3 signs, knows every service's wire form, and validates each request against the service's own model before it is
sent.
It retries by its "standard" mode what may be asked again: connection faults, 5xx and throttling, with jitter.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import ProviderFault
from personadesk.providers import faults
from personadesk.providers.aws.facts import FACTS
from personadesk.providers.aws.failures import failure, problem_of
from personadesk.providers.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.offer import Offer

CONNECT_SECONDS = 10
READ_SECONDS = 30
TRIES = 4
DEADLINE_SECONDS = 90.0
"""For one call with its retries; a thread cannot be stopped, but nobody waits for it any longer."""
UNREADABLE = "unreadable"
UNREADABLE_PAUSE_SECONDS = 0.5
MOST_PAGES = 200
_POLICY_NAMES = {"service-quotas": "servicequotas"}


@functools.cache
def _loader() -> Any:
    """Return what reads the services' models; one for all accounts, since EC2's alone takes a quarter of a second."""
    from botocore.loaders import create_loader

    return create_loader()


class Session:
    """One account's session."""

    def __init__(
        self,
        account: str,
        credentials: Mapping[str, str],
        base_url: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take what is needed; nothing is loaded or asked yet.

        Args:
            account: Name of the account, for sentences.
            credentials: `access_key_id`, `secret_access_key`, and `session_token` where there is one.
            base_url: Where every service is instead of AWS's own places; "" for those.
            sleep: Waits.
        """
        self._account = account
        self._credentials = dict(credentials)
        self._base = base_url
        self._sleep = sleep
        self._limiter = Limiter(FACTS.manners.per_second, FACTS.manners.burst, sleep=sleep)
        self._lock = threading.Lock()
        self._sending = threading.local()
        self._core: Any = None
        self._clients: dict[tuple[str, str, int], Any] = {}

    async def call(
        self,
        service: str,
        operation: str,
        region: str,
        *,
        tries: int = TRIES,
        changes: bool = False,
        deadline_s: float = DEADLINE_SECONDS,
        offer: Offer | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """Make one call and return its answer.

        Args:
            service: `ec2`, `sts`, `ssm`, `service-quotas`, `pricing`.
            operation: As AWS names it: `DescribeInstances`.
            region: Where.
            tries: How often at most, by boto3's own rules; 1 for what must not be done twice.
            changes: Whether it changes something, so that a lost answer leaves a doubt.
            deadline_s: For all of it.
            offer: What is to be rented, for the sentence.
            parameters: As the service's model names them.

        Raises:
            PersonaDeskError: It was refused, or nobody answered.
        """
        ask = functools.partial(self._ask, service, operation, region, tries, changes, offer)
        try:
            async with asyncio.timeout(deadline_s):
                for again in range(tries - 1, -1, -1):
                    await self._limiter.turn()
                    try:
                        return await asyncio.to_thread(ask, parameters)
                    except ProviderFault as error:
                        # boto3 gives up at once on what it cannot read, such as a busy gateway's page.
                        if error.cause != UNREADABLE or changes or not again:
                            raise
                        await self._sleep(UNREADABLE_PAUSE_SECONDS)
        except TimeoutError as error:
            reason = f"{operation}: no answer within {deadline_s:g} s"
            raise faults.unreachable(FACTS, reason, sent=changes) from error
        raise AssertionError("a call answers or fails")

    async def pages(
        self,
        operation: str,
        key: str,
        region: str,
        *,
        service: str = "ec2",
        tries: int = TRIES,
        **parameters: Any,
    ) -> list[Any]:
        """Return a list from all its pages (`NextToken`).

        Raises:
            ProviderFault: The list never ends.
            PersonaDeskError: As `call`.
        """
        found: list[Any] = []
        token: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            answer = await self.call(service, operation, region, tries=tries, **parameters, **token)
            found += answer.get(key, ())
            if not answer.get("NextToken"):
                return found
            token = {"NextToken": answer["NextToken"]}
        endless = faults.Problem(
            code="endless", message=f"{operation}: more than {MOST_PAGES} pages"
        )
        raise faults.provider_fault(FACTS, endless)

    async def aclose(self) -> None:
        """Close its connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    # -- in a worker thread -----------------------------------------------------------------------------------

    def _ask(
        self, service: str, operation: str, region: str, tries: int, changes: bool,
        offer: Offer | None, parameters: dict[str, Any],
    ) -> Mapping[str, Any]:  # fmt: skip
        from botocore import exceptions, parsers, xform_name

        self._sending.doubt = False
        try:
            client = self._client(service, region, tries)
            answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**parameters)
        except exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "DryRunOperation":
                # "Request would have succeeded, but DryRun flag is set": the yes to a question about rights.
                return {}
            name = f"{_POLICY_NAMES.get(service, service)}:{operation}"
            problem = problem_of(error, self._credentials.values())
            raise failure(
                problem, self._account, operation=name, region=region, offer=offer,
                temporary=bool(self._credentials.get("session_token")),
            ) from None  # fmt: skip
        except exceptions.ParamValidationError:
            # We asked what the service's own model does not know: that is a bug, and stays loud.
            raise
        except (exceptions.BotoCoreError, parsers.ResponseParserError) as error:
            raise self._silence(error, changes) from None
        return answer

    def _client(self, service: str, region: str, tries: int) -> Any:
        with self._lock:
            found = self._clients.get((service, region, tries))
            if found is None:
                found = self._make(service, region, tries)
                self._clients[service, region, tries] = found
        return found

    def _make(self, service: str, region: str, tries: int) -> Any:
        import boto3
        import botocore.session
        from botocore.config import Config

        if self._core is None:
            # Nothing of a user's own AWS files: neither another account's keys nor a profile that is not there.
            nowhere = {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
            core = botocore.session.Session(session_vars=nowhere)
            core.register_component("data_loader", _loader())
            self._core = boto3.session.Session(
                aws_access_key_id=self._credentials.get("access_key_id"),
                aws_secret_access_key=self._credentials.get("secret_access_key"),
                aws_session_token=self._credentials.get("session_token") or None,
                botocore_session=core,
            )
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": tries},
            user_agent_extra="PersonaDesk",
        )
        client = self._core.client(
            service, region_name=region, endpoint_url=self._base or None, config=config
        )
        client.meta.events.register("response-received", self._note)
        return client

    def _note(self, exception: Exception | None = None, **_event: Any) -> None:
        """Remember of each try whether it may have arrived: only the last one's failure is raised."""
        from botocore import exceptions

        if exception is not None and not isinstance(
            exception,
            exceptions.EndpointConnectionError
            | exceptions.ConnectTimeoutError
            | exceptions.ProxyConnectionError
            | exceptions.SSLError,
        ):
            self._sending.doubt = True

    def _silence(self, error: Exception, changes: bool) -> PersonaDeskError:
        from botocore import exceptions

        told = faults.redact(f"{type(error).__name__}: {error}", self._credentials.values())
        if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
            return faults.bad_key(FACTS, self._account, faults.Problem(message=told))
        if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
            return faults.unreachable(FACTS, told, sent=changes and self._sending.doubt)
        fault = faults.provider_fault(FACTS, faults.Problem(code=UNREADABLE, message=told))
        fault.cause = UNREADABLE
        return fault
