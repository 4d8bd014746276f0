"""RFC 9457: refusals as HTTP answers, and bodies parsed so that they can be refused."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import to_json

from libs.chassis.errors import Kind, ServiceError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STATUS: Final = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.TOO_LARGE: 413,
    Kind.EXHAUSTED: 429,
    Kind.NO_SPACE: 507,
    Kind.UNAVAILABLE: 503,
}
MEDIA_TYPE: Final = "application/problem+json"
BODY_LIMIT: Final = 4 * 2**20
_RETRY_AFTER: Final = timedelta(seconds=1)
_NAMED: Final = 3
"""Wrong fields that the detail names; ``errors`` has them all."""
_BODY_WITHIN: Final = timedelta(seconds=30)
_WARNED: Final = {Kind.FORBIDDEN, Kind.EXHAUSTED, Kind.NO_SPACE, Kind.UNAVAILABLE}

Form = Callable[[web.Request, web.Response, ServiceError | None], None]
"""Makes of a problem, in place, what a foreign protocol's clients read; with what was raised."""
FORMS: Final[web.AppKey[Mapping[str, Form]]] = web.AppKey("forms", Mapping)
"""By how the path begins. Everywhere else refusals are problems."""

_RAW: Final = web.RequestKey("raw", bytes)
_Model = TypeVar("_Model", bound=BaseModel)
_log = structlog.get_logger()


class MalformedBodyError(ServiceError):
    """Not even the syntax is right: the one refusal that is a 400."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "body-malformed"
    title: ClassVar[str] = "The request body is not JSON"


class InvalidBodyError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "body-invalid"
    title: ClassVar[str] = "The request body does not have the right form"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        first = "; ".join(f"{each['pointer'] or '/'}: {each['detail']}" for each in errors[:_NAMED])
        more = f" (and {len(errors) - _NAMED} more)" if len(errors) > _NAMED else ""
        listed: list[JsonValue] = [{**each} for each in errors]
        super().__init__(f"{first}{more}", errors=listed)


class InvalidParameterError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "parameter-invalid"
    title: ClassVar[str] = "A parameter of the query is unknown or does not have the right form"


class BodyTooLargeError(ServiceError):
    kind: ClassVar[Kind] = Kind.TOO_LARGE
    code: ClassVar[str] = "body-too-large"
    title: ClassVar[str] = "The request body is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body may have {limit} bytes at most", limit_bytes=limit)


def json_response(
    view: "BaseModel | Mapping[str, Any] | Sequence[Any] | DataclassInstance",
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    return web.Response(
        body=to_json(view),
        status=status,
        headers={"X-Content-Type-Options": "nosniff", **(headers or {})},
        content_type="application/json",
    )


def problem(error: ServiceError, *, instance: str, request_id: str = "") -> web.Response:
    """``error`` as an answer. Clients print ``message`` or ``error``: both repeat the detail."""
    status = 400 if isinstance(error, MalformedBodyError) else STATUS[error.kind]
    body: dict[str, Any] = {
        **error.facts,
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "instance": instance,
        "request_id": request_id,
        "message": error.detail,
        "error": error.detail,
    }
    return _answer(status, body, _headers(error))


def plain_problem(
    status: int, *, title: str, detail: str, instance: str = "", request_id: str = ""
) -> web.Response:
    """A problem that needs no page: what HTTP itself says about the status is all there is."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
        "message": detail,
        "error": detail,
    }
    return _answer(status, body, {})


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever a handler raises becomes a problem. The text of unknown errors is never sent."""
    identity = {"instance": request.path, "request_id": request.get(REQUEST_ID, "")}
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            location = (
                {"Location": error.headers["Location"]} if "Location" in error.headers else {}
            )
            return web.Response(status=error.status, headers=location)
        answer = _formed(request, _of_framework(request, error, identity))
    except ServiceError as error:
        level = "warning" if error.kind in _WARNED else "info"
        getattr(_log, level)("http.refused", code=error.code, detail=error.detail)
        answer = _formed(request, problem(error, **identity), error)
    except Exception:  # noqa: BLE001 -- the one edge where unknown errors become a 500
        if _gone(request):
            _log.info("http.client_gone")
            raise ConnectionResetError from None
        _log.exception("http.crashed")
        detail = "something went wrong here; the log of the service has the reason"
        answer = _formed(
            request,
            plain_problem(500, title="Internal Server Error", detail=detail, **identity),
        )
    if request.writer.output_size > 0:
        # An answer was begun: only breaking it off says that it is not whole.
        raise ConnectionResetError
    return answer


async def read_body(
    request: web.Request, model: type[_Model], *, limit: int = BODY_LIMIT
) -> _Model:
    """The body as ``model``; refused when larger than ``limit``, malformed or of another form."""
    raw = await read_bytes(request, limit=limit)
    if not raw.strip():
        raise MalformedBodyError("the body is empty; a JSON document was expected")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        for each in found:
            if each["type"] == "json_invalid":
                raise MalformedBodyError(each["msg"]) from None
        raise InvalidBodyError(
            [{"pointer": _pointer(each["loc"]), "detail": each["msg"]} for each in found]
        ) from None


def read_query(request: web.Request, model: type[_Model]) -> _Model:
    """The parameters behind ``?`` as ``model``; one that is given twice is refused."""
    twice = [name for name in request.query if len(request.query.getall(name)) > 1]
    if twice:
        raise InvalidParameterError(f"'{twice[0][:80]}' is given more than once")
    try:
        found = model.model_validate(dict(request.query))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        known = ", ".join(model.model_fields)
        told = [
            f"there is no '{name[:80]}' here, but {known}"
            if each["type"] == "extra_forbidden"
            else f"'{name[:80]}': {each['msg']}"
            for each in wrong
            for name in [str(each["loc"][0])]
        ]
        raise InvalidParameterError("; ".join(told[:_NAMED])) from None
    if any("\0" in value for value in request.query.values()):
        raise InvalidParameterError("a NUL is nowhere to be found")
    return found


async def read_bytes(request: web.Request, *, limit: int = BODY_LIMIT) -> bytes:
    """The raw body, counted while it arrives: ``Content-Length`` is a claim, chunks have none.

    Whoever asks again is given the same.
    """
    if _RAW in request and len(request[_RAW]) <= limit:
        return request[_RAW]
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_WITHIN.total_seconds()):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLargeError(limit)
                parts.append(chunk)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body took too long to arrive") from None
    except web.RequestPayloadError as error:
        raise MalformedBodyError("the body ended early or is not encoded as announced") from error
    request[_RAW] = b"".join(parts)
    return request[_RAW]


def _formed(
    request: web.Request, answer: web.Response, error: ServiceError | None = None
) -> web.Response:
    for prefix, form in request.app.get(FORMS, {}).items():
        if request.path.startswith(prefix):
            form(request, answer, error)
    return answer


def _pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _of_framework(
    request: web.Request, error: web.HTTPException, identity: dict[str, str]
) -> web.Response:
    detail = {
        404: f"there is no {request.path} here",
        405: f"{request.method} is not allowed on {request.path}",
    }.get(error.status, error.text if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else None)
    answer = plain_problem(
        error.status, title=error.reason, detail=detail or error.reason, **identity
    )
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def _headers(error: ServiceError) -> dict[str, str]:
    headers = {}
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    wait = error.retry_after
    if wait is None and error.kind in {Kind.EXHAUSTED, Kind.UNAVAILABLE}:
        wait = _RETRY_AFTER
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    return headers


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> web.Response:
    return web.Response(
        body=to_json(body),
        status=status,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **headers},
        content_type=MEDIA_TYPE,
    )


REQUEST_ID: Final = web.RequestKey("request_id", str)
"""Set by the HTTP skeleton; the correlation id of everything the request causes."""
