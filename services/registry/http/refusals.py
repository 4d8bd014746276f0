"""Refusals in the form that those who ask can read."""

from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic_core import from_json, to_json

from libs.chassis.errors import ServiceError
from libs.chassis.problems import Form
from services.registry.domain import knows_404
from services.registry.http import oci
from services.registry.http.strategy import CLIENT

_WORDS: Final = "record not found"
"""Yatai's: old clients look for them in the body."""


def _form(request: web.Request, answer: web.Response, _: ServiceError | None) -> None:
    if answer.status != HTTPStatus.NOT_FOUND or knows_404(request.headers.get(CLIENT)):
        return
    answer.set_status(HTTPStatus.BAD_REQUEST)
    told = from_json(answer.body if isinstance(answer.body, bytes) else b"{}")
    detail = f"{_WORDS}: {told.get('detail')}"
    told |= {"status": 400, "detail": detail, "message": detail, "error": detail}
    answer.body = to_json(told)


REFUSALS: Final[dict[str, Form]] = {**oci.REFUSALS, "/api/v1/": _form}
"""By how the path begins."""
