"""The log's use cases: record a fact once, read, verify, anchor."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.chassis.inbox import Inbox
from libs.chassis.postgres import Database
from libs.contracts.event import TYPE_PREFIX, EnvelopeHead
from libs.contracts.types import PLATFORM_ORG
from services.events.domain import (
    Break,
    Entry,
    Head,
    Query,
    anchor,
    follow,
    genesis,
    link,
)
from services.events.store import LogStore, NewEntry

_VERIFY_PAGE: Final = 500
_TOGETHER: Final = 128


@dataclass(frozen=True, slots=True)
class Tx:
    log: LogStore
    inbox: Inbox


@dataclass(slots=True, eq=False)
class _Fact:
    """One that waits to be recorded. ``recorded`` is None until it is known."""

    event: EnvelopeHead
    raw: bytes
    consumer: str
    alone: bool = False
    recorded: bool | None = None


class EventLog:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database
        self._waiting: dict[_Fact, None] = {}
        self._turn = asyncio.Lock()

    async def record(self, event: EnvelopeHead, raw: bytes, *, consumer: str) -> bool:
        """Append ``raw`` to its organisation's chain; False when it was there already.

        Idempotent by event id: the inbox claim and the entry are one transaction. What arrives
        while the disk is busy shares the next transaction, in the order of arrival; when that
        fails, each fact has one of its own, so that none suffers for another.
        """
        fact = _Fact(event, raw, consumer)
        self._waiting[fact] = None
        try:
            async with self._turn:
                if fact.recorded is None:
                    await self._record_with(fact)
        finally:
            self._waiting.pop(fact, None)
        return bool(fact.recorded)

    async def _record_with(self, fact: _Fact) -> None:
        """Everything that waits, or ``fact`` alone: called by whichever waiter is first."""
        batch = [fact] if fact.alone else [each for each in self._waiting if not each.alone]
        batch = batch[:_TOGETHER] if fact in batch[:_TOGETHER] else [fact]
        try:
            claimed = await self._append(batch)
        except BaseException:
            for each in batch:
                each.alone = True
            raise
        for each in batch:
            each.recorded = each.event.id in claimed
            self._waiting.pop(each, None)

    async def _append(self, batch: Sequence[_Fact]) -> set[UUID]:
        async with self._database.transaction() as tx:
            claimed: set[UUID] = set()
            for consumer in {each.consumer for each in batch}:
                ids = {each.event.id for each in batch if each.consumer == consumer}
                claimed |= await tx.inbox.claim_all(consumer, ids)
            fresh = {each.event.id: each for each in batch if each.event.id in claimed}
            for org_id in sorted({each.event.orgid for each in fresh.values()}):
                head = await tx.log.lock(org_id, genesis=genesis(org_id))
                entries = []
                for each in fresh.values():
                    if each.event.orgid == org_id:
                        head, entry = _following(head, each)
                        entries.append(entry)
                await tx.log.append(head, entries)
        return claimed

    async def read(self, org_id: UUID, query: Query) -> list[Entry]:
        """Entries after the cursor, oldest first."""
        async with self._database.read() as tx:
            return await tx.log.first(org_id, query)

    async def newest(self, org_id: UUID, query: Query) -> list[Entry]:
        """The last ``query.limit`` matches, oldest of them first."""
        async with self._database.read() as tx:
            return await tx.log.last(org_id, query)

    async def head(self, org_id: UUID) -> Head:
        async with self._database.read() as tx:
            return await tx.log.head(org_id) or Head(org_id, 0, genesis(org_id))

    async def verify(self, org_id: UUID) -> Head | Break:
        """Walk the whole chain; the head it ends in, or the first entry that breaks it."""
        state: Head | Break = Head(org_id, 0, genesis(org_id))
        while isinstance(state, Head):
            async with self._database.read() as tx:
                page = await tx.log.links(org_id, after=state.seq, limit=_VERIFY_PAGE)
            if not page:
                return await self._against_head(state)
            state = follow(state, page)
        return state

    async def _against_head(self, walked: Head) -> Head | Break:
        head = await self.head(walked.org_id)
        if head.seq < walked.seq or (head.seq == walked.seq and head.hash != walked.hash):
            return Break(walked.seq, "the chain's recorded head is another")
        if head.seq > walked.seq:
            async with self._database.read() as tx:
                if not await tx.log.links(walked.org_id, after=walked.seq, limit=1):
                    return Break(walked.seq + 1, "entries before the recorded head are missing")
        return walked

    async def anchor(self) -> bool:
        """Extend the platform chain over today's heads; False when none has moved.

        Idempotent: the same heads are anchored once.
        """
        async with self._database.transaction() as tx:
            last = await tx.log.last_anchor()
            heads = await tx.log.heads()
            previous, covered = last or (genesis(PLATFORM_ORG), [])
            if heads == sorted(covered, key=lambda each: each.org_id):
                return False
            await tx.log.add_anchor(anchor(previous, heads), heads)
        return True


def _following(head: Head, fact: _Fact) -> tuple[Head, NewEntry]:
    digest = hashlib.sha256(fact.raw).digest()
    seq = head.seq + 1
    moved = Head(head.org_id, seq, link(head.hash, seq=seq, body_digest=digest))
    name = short_name(fact.event.type)
    return moved, NewEntry(moved, fact.event, body=fact.raw, digest=digest, name=name)


def short_name(event_type: str) -> str:
    """``bento.pushed`` of ``dev.yokocho.bento.pushed.v1``."""
    return event_type.removeprefix(TYPE_PREFIX).rpartition(".v")[0]
