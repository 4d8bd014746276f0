"""The events service's log behind its HTTP edge, and events to put into it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

import aiohttp
from aiohttp import web

from libs.chassis.http import build_app
from libs.chassis.postgres import Database, Pool
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import BentoPushed
from services.events.consumers import LogConsumer
from services.events.http import EventsApi
from services.events.service import EventLog
from services.events.stream import Feed
from services.events.wiring import bind
from tests.support.envelopes import enveloped
from tests.support.serving import always_ready, served

ORG: Final = UUID(int=1)
OTHER: Final = UUID(int=2)


def event_log(pool: Pool, feed: Feed) -> EventLog:
    return EventLog(Database(pool, bind, committed=feed.announce))


def serving(log: EventLog, feed: Feed) -> AbstractAsyncContextManager[str]:
    """The base URL of one life of the service. ``X-Test-Org`` says who asks; default ``ORG``."""

    async def authenticate(request: web.Request) -> Principal:
        org = UUID(int=int(request.headers.get("X-Test-Org", "1")))
        return Principal(actor="user:1", issuer="gateway", org_id=org, org="default")

    app = build_app(
        EventsApi(log, feed).routes(),
        service="events",
        authenticate=authenticate,
        ready=always_ready,
    )
    return served(app)


def pushed(version: str, *, org: UUID = ORG) -> Envelope[BentoPushed]:
    event = BentoPushed(
        bento_id=UUID(int=9),
        repository="iris",
        version=version,
        digest="sha256:" + "a" * 64,
        size_bytes=1,
    )
    return enveloped(event, "registry", org=org, actor="user:1")


async def record(log: EventLog, *envelopes: Envelope[BentoPushed]) -> None:
    consumer = LogConsumer(log, consumer="events-log-v1")
    for envelope in envelopes:
        await consumer(envelope, envelope.model_dump_json().encode())


async def read_frames(
    answer: aiohttp.ClientResponse,
) -> AsyncIterator[tuple[int, dict[str, object]]]:
    """Id and event, for five seconds at most."""
    async with asyncio.timeout(5):
        seq = 0
        async for line in answer.content:
            if line.startswith(b"id: "):
                seq = int(line[4:])
            if line.startswith(b"data: "):
                yield seq, json.loads(line[6:])
