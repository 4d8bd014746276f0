"""Requests read and refusals written as the OCI distribution specification has them."""

import re
from functools import wraps
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import principal
from libs.chassis.problems import STATUS, json_response
from libs.contracts.oci import OciCode, OciRefusal, OciRefusals
from services.registry.domain import Place
from services.registry.errors import OciRangeError, OciRefusedError, OciUnknownError

_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST_NAME: Final = 255
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_CODES: Final = {
    Kind.UNAUTHENTICATED: OciCode.UNAUTHORIZED,
    Kind.EXHAUSTED: OciCode.TOOMANYREQUESTS,
    Kind.UNAVAILABLE: OciCode.TOOMANYREQUESTS,
    Kind.CONFLICT: OciCode.BLOB_UPLOAD_INVALID,
    Kind.TOO_LARGE: OciCode.SIZE_INVALID,
}
"""For refusals that are not the specification's own; what is not here is ``DENIED``."""


def answered(handler: Handler) -> Handler:
    """``handler``, whose refusals have the form that clients of images read."""

    @wraps(handler)
    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ServiceError as error:
            if request.writer.output_size > 0:
                raise
            return _refusal(error)

    return answering


def place_of(request: web.Request) -> Place:
    name = request.match_info["name"]
    return Place(principal(request).org_id, require_name(name))


def require_name(name: str) -> str:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise OciRefusedError(OciCode.NAME_INVALID, f"{name[:100]!r} is no name of a repository")
    return name


def require_digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise OciRefusedError(OciCode.DIGEST_INVALID, f"{digest[:100]!r} is no sha256 digest")
    return digest


def _refusal(error: ServiceError) -> web.Response:
    own = error.oci if isinstance(error, OciUnknownError | OciRefusedError) else None
    code = own or _CODES.get(error.kind, OciCode.DENIED)
    body = OciRefusals(errors=[OciRefusal(code=code, message=error.detail, detail=error.facts)])
    answer = json_response(body, _status(error))
    if isinstance(error, OciRangeError):
        answer.headers["Range"] = received(error.received)
    if error.kind in {Kind.EXHAUSTED, Kind.UNAVAILABLE}:
        answer.headers["Retry-After"] = "1"
    return answer


def _status(error: ServiceError) -> int:
    if isinstance(error, OciRangeError):
        return 416
    return 400 if error.kind is Kind.INVALID else STATUS[error.kind]


def received(size: int) -> str:
    """Which bytes of an upload are here. Of none, the specification has no way to speak."""
    return f"0-{max(size - 1, 0)}"
