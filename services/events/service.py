"""The log's use cases: record a fact once, read, verify, anchor."""

import hashlib
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
from services.events.store import LogStore

_VERIFY_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Tx:
    log: LogStore
    inbox: Inbox


class EventLog:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def record(self, event: EnvelopeHead, raw: bytes, *, consumer: str) -> bool:
        """Append ``raw`` to its organisation's chain; False when it was there already.

        Idempotent by event id: the inbox claim and the entry are one transaction.
        """
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, event.id):
                return False
            head = await tx.log.lock(event.orgid, genesis=genesis(event.orgid))
            digest = hashlib.sha256(raw).digest()
            seq = head.seq + 1
            following = Head(event.orgid, seq, link(head.hash, seq=seq, body_digest=digest))
            await tx.log.append(
                following, event=event, body=raw, digest=digest, name=short_name(event.type)
            )
        return True

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


def short_name(event_type: str) -> str:
    """``bento.pushed`` of ``dev.yokocho.bento.pushed.v1``."""
    return event_type.removeprefix(TYPE_PREFIX).rpartition(".v")[0]
