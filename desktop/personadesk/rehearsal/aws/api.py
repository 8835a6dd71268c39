"""How AWS is asked: one address for all services, the call's name in the body, and who asks in a signature."""

from __future__ import annotations

import functools
import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from personadesk.domain.account import Right
from personadesk.rehearsal.aws.shapes import Said, service
from personadesk.rehearsal.http import Answer, Simulator, route
from personadesk.rehearsal.things import Refused, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.rehearsal.http import Request

_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,"
    r" ?SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]+)"
)
_SERVICES = frozenset({"ec2", "sts", "ssm", "servicequotas", "pricing"})
_CODES: Mapping[Why, tuple[str, int, str]] = {
    Why.BAD_KEY: ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
    Why.EXPIRED: ("ExpiredToken", 403, "The security token included in the request is expired"),
    Why.MISSING_RIGHT: ("UnauthorizedOperation", 403, "You are not authorized to perform this operation."),
    Why.NO_MONEY: (
        "InvalidParameterCombination", 400, "The specified instance type is not eligible for Free Tier.",
    ),
    Why.NO_CAPACITY: (
        "InsufficientInstanceCapacity", 500,
        "We currently do not have sufficient capacity in the Availability Zone you requested.",
    ),
    Why.QUOTA: ("VcpuLimitExceeded", 400, "You have requested more vCPU capacity than your current limit allows."),
    Why.RATE: ("RequestLimitExceeded", 503, "Request limit exceeded."),
    Why.NOT_FOUND: ("InvalidInstanceID.NotFound", 400, "The instance ID does not exist"),
    Why.WRONG_STATE: ("IncorrectInstanceState", 400, "The instance is not in a state for this operation."),
    Why.BAD_REQUEST: ("InvalidParameterValue", 400, "The request makes no sense."),
    Why.FAULT: ("InternalError", 500, "An internal error has occurred"),
}  # fmt: skip
_OTHER_CODES: Mapping[Why, tuple[str, int, str]] = {
    Why.BAD_KEY: ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
    Why.MISSING_RIGHT: ("AccessDenied", 403, "User is not authorized."),
    Why.RATE: ("Throttling", 400, "Rate exceeded"),
    Why.FAULT: ("InternalFailure", 500, "The request processing has failed because of an unknown error."),
}  # fmt: skip
"""Where the other services say it in other words than EC2."""
_JSON_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "AccessDenied": "AccessDeniedException",
    "Throttling": "ThrottlingException",
}


def call(
    of: str, operation: str, right: Right | None = Right.SEE
) -> Callable[[Callable[..., Mapping[str, Any]]], Callable[..., Answer]]:
    """Make a method the handler of one operation; it takes the request and its parameters, and returns the answer.

    Args:
        of: The service, as it is signed for.
        operation: As its model names it.
        right: What the key must be allowed.
    """

    def mark(work: Callable[..., Mapping[str, Any]]) -> Callable[..., Answer]:
        @route("POST", f"/{of}/{operation}", right=right)
        @functools.wraps(work)
        def handle(self: AwsApi, request: Request) -> Answer:
            wish = service(of).read(operation, request.body)
            if wish.pop("DryRun", False):
                raise Said(
                    "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412
                )
            return service(of).write(operation, work(self, request, wish), request.id)

        return handle

    return mark


class AwsApi(Simulator):
    """What is the same for every call. In fault rules and `seen` a call is `POST /ec2/RunInstances`."""

    id = "aws"
    request_id_header = "x-amzn-requestid"

    def answer(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request; see `Simulator.answer`."""
        named = {name.casefold(): value for name, value in (headers or {}).items()}
        scope = _SCOPE.match(named.get("authorization", ""))
        if path == "/" and scope is not None:
            operation = named.get("x-amz-target", "").rpartition(".")[2]
            if not operation:
                operation = dict(parse_qsl(body.decode("utf-8", "replace"))).get("Action", "")
            path = f"/{scope['service']}/{operation}"
        return super().answer(method, path, query, headers, body)

    def key_of(self, request: Request) -> str:
        """Return `ACCESS KEY ID:SECRET` of the account that signed a request.

        Raises:
            Refused: BAD_KEY, for an unknown access key ID.
            Said: The signature is not that of its secret.
        """
        scope = _SCOPE.match(request.headers.get("authorization", ""))
        if scope is None:
            raise Refused(Why.BAD_KEY)
        keys = self.world.held.accounts
        key = next((each for each in keys if each.partition(":")[0] == scope["key"]), "")
        if key and _signature(request, scope, key.partition(":")[2]) != scope["signature"]:
            message = (
                "The request signature we calculated does not match the signature you provided."
            )
            if scope["service"] == "ec2":
                raise Refused(Why.BAD_KEY)
            raise Said("SignatureDoesNotMatch", message, 403)
        return key

    def new_request_id(self) -> str:
        """Return an id as AWS's are."""
        return str(uuid.uuid4())

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal by the service's own code."""
        _, name, operation = [*request.path.split("/"), "", ""][:3]
        if name not in _SERVICES:
            return Answer.text("404 Not Found", 404)
        spoken = service(name)
        if isinstance(refused, Said):
            return spoken.refuse(refused.code, refused.message, refused.status, request.id)
        code, status, message = _CODES[refused.why]
        if name != "ec2" and refused.why in _OTHER_CODES:
            code, status, message = _OTHER_CODES[refused.why]
        if spoken.as_json:
            code, status = _JSON_CODES.get(code, code), 400 if status < 500 else status
        if refused.why is Why.MISSING_RIGHT:
            message = f"{message} User is not authorized to perform: {name}:{operation}"
        return spoken.refuse(code, message, status, request.id)

    @staticmethod
    def region_of(request: Request) -> str:
        """Return for which region a request is signed."""
        scope = _SCOPE.match(request.headers.get("authorization", ""))
        return scope["region"] if scope is not None else ""


def _signature(request: Request, scope: re.Match[str], secret: str) -> str:
    """Return what the signature of a request must be (Signature Version 4), by botocore's own rules."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = request.headers
    signed = {name: headers.get(name, "") for name in scope["signed"].split(";")}
    place = f"http://{headers.get('host', '')}/"
    made = AWSRequest("POST", place, signed, data=request.body)
    made.context["timestamp"] = headers.get("x-amz-date", "")
    auth = SigV4Auth(Credentials(scope["key"], secret), scope["service"], scope["region"])
    to_sign = auth.string_to_sign(made, auth.canonical_request(made))
    return str(auth.signature(to_sign, made))
