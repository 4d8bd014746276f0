"""The canonical line of one request, with its metrics and the end of its span."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from opentelemetry.trace import Span, StatusCode

from libs.chassis import metrics
from libs.chassis.auth import PRINCIPAL

PREPARED: Final = web.RequestKey("prepared", web.StreamResponse)
"""The answer whose head is on its way."""
_CLIENT_GONE: Final = 499
_log = structlog.get_logger()


class Line:
    """What is told about a request: never a header, a query or a body."""

    def __init__(self, request: web.Request, *, action: str | None, stream: bool) -> None:
        resource = request.match_info.route.resource
        self.route = resource.canonical if resource else "(none)"
        self.response: web.StreamResponse | None = None
        """Set by whoever has the whole answer; without it the request was broken off."""
        self._request = request
        self._action = action
        self.stream = stream
        self._timed = action is not None and not stream
        self._begun = time.monotonic()

    @contextmanager
    def written(self, span: Span) -> Iterator[None]:
        """Write the line when the request is over, however that comes."""
        try:
            yield
        finally:
            answer = self.response or self._request.get(PREPARED)
            status = answer.status if answer is not None else _CLIENT_GONE
            self._count(status)
            self._describe(span, status)
            self._write(status, answer)

    def _count(self, status: int) -> None:
        method = self._request.method
        metrics.REQUESTS.labels(method, self.route, str(status)).inc()
        if self._timed:
            seconds = time.monotonic() - self._begun
            metrics.REQUEST_SECONDS.labels(method, self.route).observe(seconds)

    def _describe(self, span: Span, status: int) -> None:
        span.set_attributes(
            {
                "http.request.method": self._request.method,
                "http.route": self.route,
                "http.response.status_code": status,
            }
        )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)

    def _write(self, status: int, answer: web.StreamResponse | None) -> None:
        probe = self._action is None and status < HTTPStatus.BAD_REQUEST
        caller = self._request.get(PRINCIPAL)
        (_log.debug if probe else _log.info)(
            "http.request",
            method=self._request.method,
            path=self._request.path,
            route=self.route,
            status=status,
            seconds=round(time.monotonic() - self._begun, 6),
            bytes=_size(self._request, answer),
            action=self._action,
            actor=caller.actor if caller else None,
            org_id=str(caller.org_id) if caller else None,
            **({} if self.response is not None else {"broken_off": True}),
        )


def _size(request: web.Request, answer: web.StreamResponse | None) -> int:
    """Bytes of the body where it is still to be sent, else bytes that were sent."""
    if isinstance(answer, web.Response) and answer.content_length is not None:
        return answer.content_length
    return request.writer.output_size
