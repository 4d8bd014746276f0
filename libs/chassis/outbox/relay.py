"""From the outbox to the stream: in order, once, by one relay at a time.

The stream is rebuildable: the outbox keeps every fact, and notices when the stream has lost some.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.chassis.bus.publishing import MAX_BATCH, Message, Publisher
from libs.chassis.bus.streams import MAX_AGE, StreamState
from libs.chassis.errors import ServiceError
from libs.chassis.lifecycle import Wake
from libs.chassis.metrics import PUBLISHED
from libs.chassis.postgres import Connection, Pool, acquired, texts
from libs.contracts.bus import log_of, stream_of

log = structlog.get_logger(__name__)

POLL: Final = timedelta(milliseconds=100)
LOOK: Final = timedelta(seconds=5)
"""How often the stream is compared with what was recorded, even when nothing happens."""

ASK: Final = timedelta(hours=1)
"""How often the bus is asked what the log has, which lets old facts go."""

_RETRY: Final = timedelta(milliseconds=500)
_MAX_BATCH_BYTES: Final = 4 * 2**20

_PENDING: Final = "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
_LEAD: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('outbox_relay', 0)) AS leading,
       set_config('idle_in_transaction_session_timeout', '15s', true),
       set_config('synchronous_commit', 'off', true)
"""
_UNPUBLISHED: Final = """
SELECT id, entity_id, entity_seq, subject, body FROM outbox
WHERE published_at IS NULL ORDER BY id LIMIT $1
"""
_MARK: Final = """
UPDATE outbox SET published_at = clock_timestamp(), stream_seq = said.seq
FROM unnest($1::text[]::uuid[], $2::text[]::bigint[]) AS said (id, seq)
WHERE outbox.id = said.id AND outbox.id >= $3
"""
_PLACE: Final = "SELECT stream_created, last_seq FROM outbox_relay WHERE stream = $1"
_MOVE: Final = """
INSERT INTO outbox_relay (stream, stream_created, last_seq) VALUES ($1, $2, $3)
ON CONFLICT (stream) DO UPDATE
SET stream_created = excluded.stream_created, last_seq = excluded.last_seq
"""
_ERA: Final = "INSERT INTO outbox_era DEFAULT VALUES ON CONFLICT (since) DO NOTHING"
_LOGGED: Final = """
UPDATE outbox_era SET logged_seq = greatest(logged_seq, $1)
WHERE since = (SELECT max(since) FROM outbox_era)
"""
_UNMARK: Final = """
UPDATE outbox SET published_at = NULL, stream_seq = NULL
WHERE published_at IS NOT NULL AND id >= uuid_v7_floor(now() - $1::interval)
  AND (stream_seq > $2 OR stream_seq IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """How far the stream is known to reach, in which of its lives."""

    created: datetime
    last_seq: int


@dataclass(frozen=True, slots=True)
class Row:
    """One fact that is not on the bus yet."""

    id: UUID
    entity_id: UUID
    entity_seq: int
    subject: str
    body: bytes


class Relay:
    """Runs in every replica; one at a time publishes.

    An advisory lock lets one lead, and the stream's own last sequence refuses a relay that was
    paused while another took over.
    """

    def __init__(self, pool: Pool, publisher: Publisher, *, service: str, wake: Wake) -> None:
        self._pool = pool
        self._publisher = publisher
        self._service = service
        self._stream = stream_of(service)
        self._wake = wake
        self._surveyed = False
        self._ask_at = 0.0

    async def run(self) -> None:
        """Never returns. Bus or database away is retried; anything else is a bug and ends it."""
        clock = asyncio.get_running_loop()
        look = clock.time()
        while True:
            try:
                if clock.time() >= look:
                    self._surveyed = False
                    look = clock.time() + LOOK.total_seconds()
                while await self.flush():
                    pass
            except ServiceError as error:
                log.warning("relay.deferred", code=error.code, detail=error.detail)
                await asyncio.sleep(_RETRY.total_seconds())
            await self._wake.wait(POLL)

    async def flush(self) -> int:
        """Publish one batch; how many facts it held. 0 when there is nothing or another leads.

        Idempotent by event id: after any failure the stream is read before more is said.
        """
        async with acquired(self._pool) as connection:
            if self._surveyed and not await connection.fetchval(_PENDING):
                return 0
            try:
                return await self._lead(connection)
            except BaseException:
                self._surveyed = False
                raise

    async def _lead(self, connection: Connection) -> int:
        if not self._surveyed:
            async with connection.transaction():
                if not await connection.fetchval(_LEAD):
                    return 0
                await self._survey(connection)
            self._surveyed = True
        async with connection.transaction():
            if not await connection.fetchval(_LEAD):
                return 0
            return await self._publish(connection)

    async def _publish(self, connection: Connection) -> int:
        """Say one batch while the transaction waits: bounded by the publisher's own deadline."""
        waiting = [Row(**dict(row)) for row in await connection.fetch(_UNPUBLISHED, MAX_BATCH)]
        if not waiting:
            return 0
        rows = bounded(in_entity_order(waiting))
        place = await self._recorded(connection)
        if place is None:
            self._surveyed = False  # somebody emptied the record: the next survey writes it
            return 0
        sequences = await self._publisher.publish_batch(
            [Message(str(row.id), row.subject, row.body) for row in rows],
            stream=self._stream,
            expected_last=place.last_seq,
        )
        await self._mark(connection, [row.id for row in rows], sequences)
        last = max(place.last_seq, *sequences)
        await connection.execute(_MOVE, self._stream, place.created, last)
        PUBLISHED.inc(len(rows))
        return len(rows)

    async def _survey(self, connection: Connection) -> None:
        """Compare the stream with what was recorded, and make the record true.

        A stream that is younger or shorter than recorded lost facts: they are unmarked and go
        out again. One that is longer holds a batch whose acknowledgement never came.
        """
        state = await self._publisher.ensure_stream(self._service)
        known = await self._recorded(connection)
        if known is None:
            known = Place(state.created, 0)
            await connection.execute(_ERA)
        if known.created != state.created:
            known = await self._refill(connection, Place(state.created, 0))
        elif known.last_seq > state.last_seq:
            known = await self._refill(connection, Place(state.created, state.last_seq))
        await self._catch_up(connection, known, state)
        await connection.execute(_MOVE, self._stream, state.created, state.last_seq)
        await self._note_logged(connection, state)

    async def _note_logged(self, connection: Connection, state: StreamState) -> None:
        """What cannot be learned now is learned later; facts only stay for longer."""
        now = asyncio.get_running_loop().time()
        if now < self._ask_at:
            return
        self._ask_at = now + ASK.total_seconds()
        try:
            seq = await self._publisher.acknowledged(self._stream, log_of(self._service).durable)
        except ServiceError as error:
            log.warning("relay.log_unknown", code=error.code, detail=error.detail)
        else:
            if seq <= state.last_seq:  # else it speaks of facts that the stream has lost
                await connection.execute(_LOGGED, seq)

    async def _recorded(self, connection: Connection) -> Place | None:
        row = await connection.fetchrow(_PLACE, self._stream)
        return Place(row["stream_created"], row["last_seq"]) if row is not None else None

    async def _refill(self, connection: Connection, kept: Place) -> Place:
        status = await connection.execute(_UNMARK, MAX_AGE, kept.last_seq)
        await connection.execute(_ERA)
        log.error("relay.stream_lost_facts", stream=self._stream, kept=kept.last_seq, refill=status)
        return kept

    async def _catch_up(self, connection: Connection, known: Place, state: StreamState) -> None:
        after = max(known.last_seq, state.first_seq - 1)
        said = [
            (UUID(found), seq)
            async for seq, found in self._publisher.stored_ids(
                self._stream, after=after, upto=state.last_seq
            )
            if found
        ]
        if said:
            log.info("relay.caught_up", stream=self._stream, facts=len(said))
            await self._mark(connection, [each for each, _ in said], [seq for _, seq in said])

    async def _mark(
        self, connection: Connection, ids: Sequence[UUID], sequences: Sequence[int]
    ) -> None:
        await connection.execute(_MARK, texts(ids), texts(sequences), min(ids))


def in_entity_order(rows: Sequence[Row]) -> list[Row]:
    """Id order, but never a later version of an entity before an earlier one.

    Ids of two processes in one millisecond may be in either order; versions never are.
    """
    versions: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        versions[row.entity_id].append(row)
    ordered = {
        entity: iter(sorted(group, key=lambda row: (row.entity_seq, row.id)))
        for entity, group in versions.items()
    }
    return [next(ordered[row.entity_id]) for row in rows]


def bounded(rows: Sequence[Row]) -> list[Row]:
    """As many rows from the front as one batch may weigh; always at least one."""
    taken, weight = [rows[0]], len(rows[0].body)
    for row in rows[1:]:
        weight += len(row.body)
        if weight > _MAX_BATCH_BYTES:
            break
        taken.append(row)
    return taken
