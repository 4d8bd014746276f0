"""The log over HTTP: query, follow, verify."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.contracts.catalogue import EVENTS
from services.events.domain import Break, Entry, Query
from services.events.errors import FilterInvalidError
from services.events.service import EventLog, short_name
from services.events.stream import Feed, stream

_LIMIT: Final = 1000
_NAMES: Final = frozenset(short_name(each) for each in EVENTS)
_KNOWN: Final = frozenset(
    {"after", "limit", "last", "type", "entity", "correlation", "actor", "since", "until"}
)
_PAGING: Final = frozenset({"limit", "last", "until"})
_Parsed = TypeVar("_Parsed")


class EventsApi:
    def __init__(self, log: EventLog, feed: Feed) -> None:
        self._log = log
        self._feed = feed

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/events", self.query, action="event.read"),
            Route("GET", "/api/events/stream", self.stream, action="event.read", stream=True),
            Route("GET", "/api/events/head", self.head, action="event.read"),
            Route("GET", "/api/events/verify", self.verify, action="event.read"),
        ]

    async def query(self, request: web.Request) -> web.Response:
        org_id, query = principal(request).org_id, parse(request)
        if request.query.get("last"):
            entries = await self._log.newest(org_id, query)
        else:
            entries = await self._log.read(org_id, query)
        return web.Response(body=page(entries, query), content_type="application/json")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        query = parse(request)
        if paging := sorted(_PAGING & request.query.keys()):
            raise FilterInvalidError(paging[0], "a stream has no pages and no end")
        resumed = request.headers.get("Last-Event-ID")
        after = _value("Last-Event-ID", resumed, _ordinal) if resumed else query.after
        if not resumed and not request.query.get("after"):
            after = (await self._log.head(principal(request).org_id)).seq
        return await stream(
            request,
            self._log,
            self._feed,
            org_id=principal(request).org_id,
            query=replace(query, after=after),
        )

    async def head(self, request: web.Request) -> web.Response:
        head = await self._log.head(principal(request).org_id)
        return web.json_response({"seq": head.seq, "hash": head.hash.hex()})

    async def verify(self, request: web.Request) -> web.Response:
        found = await self._log.verify(principal(request).org_id)
        if isinstance(found, Break):
            return web.json_response({"intact": False, "seq": found.seq, "reason": found.why})
        return web.json_response({"intact": True, "seq": found.seq, "hash": found.hash.hex()})


def page(entries: list[Entry], query: Query) -> bytes:
    """``{"events": [{"seq", "hash", "event"}], "next": cursor}`` around the stored bytes."""
    items = b",".join(
        b'{"seq":%d,"hash":"%s","event":%s}' % (each.seq, each.hash.hex().encode(), each.body)
        for each in entries
    )
    cursor = entries[-1].seq if entries else query.after
    return b'{"events":[%s],"next":%d}' % (items, cursor)


def parse(request: web.Request) -> Query:
    """The filter in the query string. Empty means absent; an unknown name is refused."""
    given = {name: value for name, value in request.query.items() if value}
    for name in given:
        if name not in _KNOWN:
            raise FilterInvalidError(name, f"unknown; known are {', '.join(sorted(_KNOWN))}")
    if "last" in given and "after" in given:
        raise FilterInvalidError("last", "cannot be combined with 'after'")
    limit = _value("limit", given.get("last") or given.get("limit") or "100", _ordinal)
    if not 1 <= limit <= _LIMIT:
        raise FilterInvalidError("limit", f"must be between 1 and {_LIMIT}")
    return Query(
        after=_value("after", given.get("after", "0"), _ordinal),
        limit=limit,
        types=_types(given.get("type", "")),
        entity_id=_value("entity", given["entity"], UUID) if "entity" in given else None,
        correlation_id=given.get("correlation"),
        actor=given.get("actor"),
        since=_value("since", given["since"], _moment) if "since" in given else None,
        until=_value("until", given["until"], _moment) if "until" in given else None,
    )


def _types(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    short = tuple(short_name(name) if name.startswith("dev.") else name for name in names)
    for name in short:
        if name not in _NAMES:
            raise FilterInvalidError("type", f"no event is called {name!r}; see docs/events.md")
    return short


def _value(name: str, text: str, read: Callable[[str], _Parsed]) -> _Parsed:
    try:
        return read(text)
    except (ValueError, OverflowError) as error:
        raise FilterInvalidError(name, f"{text[:64]!r} is not valid") from error


def _ordinal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**63 - 1)) - 1:
        raise ValueError(text)
    return int(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
