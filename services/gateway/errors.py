"""What the gateway can refuse, to callers of the API and to callers of endpoints."""

from datetime import timedelta
from typing import ClassVar

from pydantic import JsonValue

from libs.chassis.errors import Kind, ServiceError


class TokenMissingError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "token-missing"
    title: ClassVar[str] = "A token is needed"

    def __init__(self) -> None:
        super().__init__("send a token as 'X-YATAI-API-TOKEN' or 'Authorization: Bearer'")


class TokenUnknownError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "token-unknown"
    title: ClassVar[str] = "The token is not valid"

    def __init__(self) -> None:
        super().__init__("the token is unknown, expired or revoked")


class TokenUncheckedError(ServiceError):
    """The database is away and this token was never seen: neither yes nor no is known."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "token-unchecked"
    title: ClassVar[str] = "The token cannot be checked at the moment"

    def __init__(self) -> None:
        super().__init__(
            "the gateway cannot reach its database and does not know this token",
            retry_after=timedelta(seconds=2),
        )


class ScopeMissingError(ServiceError):
    """Clients of images read the challenge beside it, and get a token that reaches further."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "scope-missing"
    title: ClassVar[str] = "The token is good for less than this"

    def __init__(self, scopes: list[str]) -> None:
        wanted = " ".join(scopes) or "nothing that a token can be restricted to"
        listed: list[JsonValue] = [*scopes]
        super().__init__(f"this needs a token for {wanted}", scopes=listed)


class OtherOrganisationError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "other-organisation"
    title: ClassVar[str] = "The token belongs to another organisation"

    def __init__(self, org: str) -> None:
        super().__init__(f"this token is not valid for organisation {org!r}", organisation=org)


class BootstrapTokenError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "bootstrap-token-invalid"
    title: ClassVar[str] = "The first token's file cannot be used"

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")


class TargetAmbiguousError(ServiceError):
    """Two readers of this target could disagree on what it names; so nobody gets to."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "target-ambiguous"
    title: ClassVar[str] = "The request target can be read in two ways"

    def __init__(self, why: str) -> None:
        super().__init__(f"the request target {why}")


class PeerUnavailableError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "service-unavailable"
    title: ClassVar[str] = "A service of the platform does not answer"

    def __init__(self, service: str, why: str) -> None:
        super().__init__(
            f"the {service} service {why}; the others go on",
            retry_after=timedelta(seconds=2),
            service=service,
        )


class RoutesLoadingError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "routes-loading"
    title: ClassVar[str] = "The gateway does not know its routes yet"

    def __init__(self) -> None:
        super().__init__("the gateway has just started", retry_after=timedelta(seconds=1))


class EndpointError(ServiceError):
    """Base of what an endpoint answers in place of its model; names the endpoint."""

    def __init__(
        self,
        endpoint: str,
        why: str,
        *,
        retry_after: timedelta | None = None,
        **facts: JsonValue,
    ) -> None:
        super().__init__(
            f"endpoint {endpoint!r} {why}", retry_after=retry_after, endpoint=endpoint, **facts
        )


class EndpointUnknownError(EndpointError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "endpoint-unknown"
    title: ClassVar[str] = "No such endpoint"

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "does not exist; the path is '/<namespace>/<deployment>/…'")


class EndpointStartingError(EndpointError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "endpoint-starting"
    title: ClassVar[str] = "The endpoint is starting"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            endpoint, "has no revision that is ready yet", retry_after=timedelta(seconds=5)
        )


class EndpointFailedError(EndpointError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "endpoint-failed"
    title: ClassVar[str] = "The endpoint's deployment failed"

    def __init__(self, endpoint: str, reason: str | None) -> None:
        """``reason`` is None for a caller who may not read it."""
        said = f"failed: {reason}" if reason else "failed; 'yokocho deployments' says why"
        super().__init__(endpoint, said, retry_after=timedelta(seconds=60), reason=reason or None)


class EndpointTerminatedError(EndpointError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "endpoint-terminated"
    title: ClassVar[str] = "The endpoint was terminated"

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "was terminated; deploying it again brings it back")


class EndpointUnreachableError(EndpointError):
    """No byte of the request reached a model: sending it again is safe."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "endpoint-unreachable"
    title: ClassVar[str] = "None of the endpoint's processes accepts connections"

    def __init__(self, endpoint: str, tried: int) -> None:
        super().__init__(
            endpoint,
            f"has {tried} process(es), none of which accepted the request",
            retry_after=timedelta(seconds=1),
            tried=tried,
        )


class EndpointInterruptedError(EndpointError):
    """The model got the request, perhaps all of it, and broke off without an answer."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "endpoint-interrupted"
    title: ClassVar[str] = "The endpoint's process broke off before it answered"

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "closed the connection; the request may have been carried out")


class EndpointTimeoutError(EndpointError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "endpoint-timeout"
    title: ClassVar[str] = "The endpoint did not answer in time"

    def __init__(self, endpoint: str, waited: timedelta) -> None:
        super().__init__(endpoint, f"sent nothing for {waited.total_seconds():g} s")
