"""Requests read and refusals written as the OCI distribution specification has them."""

import re
from http import HTTPStatus
from typing import Final

from aiohttp import web

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import principal
from libs.chassis.problems import Form
from libs.contracts.oci import OciCode, OciRefusal, OciRefusals, code_of
from services.registry.domain import Place
from services.registry.errors import OciRangeError, OciRefusedError, OciUnknownError

_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST_NAME: Final = 255


def place_of(request: web.Request) -> Place:
    return Place(principal(request).org_id, require_name(request.match_info["name"]))


def require_name(name: str) -> str:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise OciRefusedError(OciCode.NAME_INVALID, f"{name[:100]!r} is no name of a repository")
    return name


def is_known(request: web.Request, digest: str) -> bool:
    """Whether the client said that it has these bytes."""
    return any(each.value in {"*", digest} for each in request.if_none_match or ())


def _form(_: web.Request, answer: web.Response, error: ServiceError | None) -> None:
    if error is not None and error.kind is Kind.INVALID:
        answer.set_status(HTTPStatus.BAD_REQUEST)
    if isinstance(error, OciRangeError):
        answer.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        answer.headers["Range"] = received(error.received)
    own = error.oci if isinstance(error, OciUnknownError | OciRefusedError) else None
    refusal = OciRefusal(
        code=own or code_of(answer.status),
        message=error.detail if error else answer.reason,
        detail=error.facts if error else None,
    )
    answer.body = OciRefusals(errors=[refusal]).model_dump_json().encode()
    answer.content_type = "application/json"


REFUSALS: Final[dict[str, Form]] = {"/v2/": _form}
"""Every refusal, also those that come before a handler."""


def received(size: int) -> str:
    """Which bytes of an upload are here. Of none, the specification has no way to speak."""
    return f"0-{max(size - 1, 0)}"
