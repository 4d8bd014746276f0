"""Uploads by signed URL, whole or in parts: to the store itself where it can, else to us."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis import context
from libs.chassis.blobs import BlobStore
from libs.chassis.postgres import Database
from services.registry.domain import AT_ONCE, Repository, Strategy, Transfer, Version
from services.registry.errors import NotUploadedError, TransferUnknownError
from services.registry.service.tx import Tx
from services.registry.service.uploads import lock_live

LIFETIME: Final = timedelta(hours=24)
"""Of an upload; S3 takes no signature that is older than a week."""


@dataclass(frozen=True, slots=True)
class Begun:
    """``url`` where the client sends to the store itself; None where it sends to us."""

    transfer: Transfer
    url: str | None


class Transfers:
    """A version may have several under way: the one that is finished first counts."""

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        *,
        woken: Callable[[], None] = lambda: None,
        default: Strategy = Strategy.PROXY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._woken = woken
        self._default = default
        self._clock = clock

    async def strategy(self, org_id: UUID) -> Strategy:
        async with self._database.read() as tx:
            found = await tx.transfers.strategy(org_id)
        return Strategy(found) if found else self._default

    @property
    def at_once(self) -> int | None:
        """How many bytes a client may send to the store in one request; None: any number."""
        return AT_ONCE if self._store.direct is not None else None

    async def choose(self, org_id: UUID, strategy: Strategy) -> None:
        async with self._database.transaction() as tx:
            await tx.transfers.set_strategy(org_id, strategy)

    async def begin(self, version: Version) -> Begun:
        """One request will bring everything."""
        made = await self._begin(version, in_parts=False)
        return Begun(made, await self.part_url(made, 1))

    async def begin_parts(self, version: Version) -> Transfer:
        return await self._begin(version, in_parts=True)

    async def _begin(self, version: Version, *, in_parts: bool) -> Transfer:
        direct = self._store.direct
        if direct is None:
            return await self._add(version, in_parts=in_parts, location=None, store_upload=None)
        location = direct.new_location()
        upload = await direct.begin_parts(location)
        return await self._add(version, in_parts=in_parts, location=location, store_upload=upload)

    async def part_url(self, transfer: Transfer, number: int) -> str | None:
        """None where parts are sent to us."""
        direct = self._store.direct
        if direct is None or transfer.location is None or transfer.store_upload is None:
            return None
        return await direct.part_url(
            transfer.location, transfer.store_upload, number=number, lifetime=LIFETIME
        )

    async def download_url(self, location: str) -> str:
        """Empty where only we can send it."""
        direct = self._store.direct
        return await direct.get_url(location, timedelta(hours=1)) if direct else ""

    async def one(self, org_id: UUID, transfer_id: UUID) -> Transfer:
        async with self._database.read() as tx:
            found = await tx.transfers.one(org_id, transfer_id)
        if found is None:
            raise TransferUnknownError(f"no upload {transfer_id} is under way")
        return found

    async def version_of(self, transfer: Transfer) -> tuple[Repository, Version]:
        async with self._database.read() as tx:
            found = await tx.transfers.version(transfer.version_id)
        if found is None:
            raise TransferUnknownError("its version is gone")
        return found

    async def put_part(
        self, transfer: Transfer, number: int, chunks: AsyncIterator[bytes], *, size: int | None
    ) -> str:
        """Its digest. A part that comes again replaces the one before."""
        self._store.require(size or 0)
        async with self._store.receive(size=size) as receiving:
            received = 0
            async for chunk in chunks:
                await receiving.write(chunk)
                received += len(chunk)
            if size not in {None, received}:
                raise NotUploadedError(f"{size} bytes were announced, {received} came")
            part = await receiving.commit()
        try:
            async with self._database.transaction() as tx:
                replaced = await tx.transfers.put_part(transfer.id, number, part)
        except LookupError:
            await self._store.remove(part.location)
            raise TransferUnknownError("the upload is over") from None
        if replaced is not None:
            await self._store.remove(replaced)
        return part.digest

    async def name_parts(self, transfer: Transfer, parts: Sequence[tuple[int, str]]) -> None:
        """Believed at the end only: clients name what they have even where a part failed."""
        async with self._database.transaction() as tx:
            await tx.transfers.name_parts(transfer.id, parts)

    async def finish(self, version: Version) -> bool:
        """The client has sent everything: verify it. False when it used no signed URL."""
        async with self._database.transaction() as tx:
            await lock_live(tx, version)
            found = await tx.transfers.latest(version.id)
            if found is None:
                return False
            await tx.transfers.verify(found, self._clock())
        self._woken()
        return True

    async def give_up(self, version: Version) -> None:
        """The client has failed, or its bytes came otherwise."""
        while True:
            async with self._database.transaction() as tx:
                found = await tx.transfers.latest(version.id)
                locations = await _take(tx, found) if found else []
            if found is None:
                return
            await self._forget(found, locations)

    async def forget_expired(self) -> None:
        while True:
            async with self._database.transaction() as tx:
                found = await tx.transfers.lock_expired(self._clock())
                locations = await _take(tx, found) if found else []
            if found is None:
                return
            await self._forget(found, locations)

    async def _forget(self, transfer: Transfer, locations: Sequence[str]) -> None:
        direct = self._store.direct
        if direct is not None and transfer.location is not None:
            await direct.forget(transfer.location, transfer.store_upload)
        for each in locations:
            await self._store.remove(each)

    async def _add(
        self, version: Version, *, in_parts: bool, location: str | None, store_upload: str | None
    ) -> Transfer:
        now, cause = self._clock(), context.current()
        made = Transfer(
            id=uuid7(),
            org_id=version.org_id,
            version_id=version.id,
            in_parts=in_parts,
            location=location,
            store_upload=store_upload,
            parts=(),
            actor=cause.actor,
            correlation=cause.correlation_id,
            traceparent=cause.traceparent,
            expires_at=now + LIFETIME,
        )
        async with self._database.transaction() as tx:
            await tx.transfers.add(made, now)
        return made


async def _take(tx: Tx, transfer: Transfer) -> list[str]:
    """Where its parts lie, which nobody knows of from now on."""
    parts = await tx.transfers.parts(transfer.id)
    await tx.transfers.remove(transfer.id)
    return [part.location for _, part in parts]
