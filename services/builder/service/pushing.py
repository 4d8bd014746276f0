"""Layers of an image in the registry: found there by what they are made of, or made and pushed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Database
from services.builder.domain import Layer
from services.builder.layers import Entry, contents_of, write
from services.builder.oci import Remote
from services.builder.service.tx import Tx

_SMALL: Final = 2**20
"""Bytes of files up to which a layer is made in memory."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an image goes. ``org`` is the organisation whose layers may be found again."""

    remote: Remote
    repository: str
    tag: str
    org_id: UUID
    registry: str = ""
    """Its host; empty for the platform's own."""


class Pushing:
    """``fresh`` looks for nothing: every layer is made anew.

    Of layers that went to the same repository before, the platform's own registry is not asked:
    it refuses a manifest when one is gone (``LayersAbsentError``). After ``doubt`` it is.
    """

    def __init__(self, database: Database[Tx], to: Destination, *, fresh: bool) -> None:
        self._database = database
        self._to = to
        self._fresh = fresh
        self._believes = not to.registry
        self.reused = 0
        self.pushed = 0

    def doubt(self) -> None:
        """Begin anew, and ask."""
        self._believes = False
        self.reused = self.pushed = 0

    async def find(self, key: str) -> tuple[Layer, ...] | None:
        """The layers of ``key``, when all of them are there or can be mounted."""
        found = await self.known(key)
        self.reused += len(found or ())
        return found

    async def known(self, key: str) -> tuple[Layer, ...] | None:
        """As ``find``, of layers that do not count."""
        if self._fresh:
            return None
        async with self._database.read() as tx:
            known = await tx.recipes.layers(self._to.org_id, self._key(key))
        if known is None:
            return None
        source, layers = known
        if self._believes and source == self._to.repository:
            return layers
        there = await asyncio.gather(*(self.has(each, source) for each in layers))
        return layers if all(there) else None

    async def has(self, layer: Layer, source: str) -> bool:
        """In the image's repository, from now on if it was in ``source`` only."""
        remote, repository = self._to.remote, self._to.repository
        if await remote.has_blob(repository, layer.digest):
            return True
        return source != repository and await remote.mount(repository, layer.digest, source=source)

    async def copy(self, layer: Layer, remote: Remote, source: str) -> None:
        """From another registry, where the image's own cannot mount it."""
        await self._to.remote.push(
            self._to.repository,
            lambda: remote.blob(source, layer.digest, size=layer.size_bytes),
        )

    async def push(self, key: str, entries: Iterable[Entry], *, media_type: str) -> Layer:
        listed = list(entries)
        if sum(each.size + len(each.content or b"") for each in listed) < _SMALL:
            layer = await self._small(listed, media_type)
        else:
            layer = await self._streamed(listed, media_type)
        self.pushed += 1
        contents = await asyncio.to_thread(contents_of, listed)
        async with self._database.transaction() as tx:
            await self._keep(tx, key, [layer])
            await tx.attestations.keep_contents(self._to.org_id, layer.digest, contents)
        return layer

    async def _small(self, entries: Sequence[Entry], media_type: str) -> Layer:
        """In one request: of what little code weighs, most of the time went into asking."""
        written, chunks = write(entries, media_type=media_type)
        body = await asyncio.to_thread(b"".join, chunks)
        await self._to.remote.push_bytes(self._to.repository, body)
        return written.layer

    async def _streamed(self, entries: Sequence[Entry], media_type: str) -> Layer:
        made: list[Layer] = []

        async def stream() -> AsyncIterator[bytes]:
            written, chunks = write(entries, media_type=media_type)
            async for chunk in _in_threads(chunks):
                yield chunk
            made[:] = [written.layer]

        await self._to.remote.push(self._to.repository, stream)
        return made[0]

    def _key(self, key: str) -> str:
        """Each registry has layers of its own."""
        return f"{self._to.registry} {key}".strip()

    async def keep(self, key: str, layers: Sequence[Layer]) -> None:
        async with self._database.transaction() as tx:
            await self._keep(tx, key, layers)

    async def _keep(self, tx: Tx, key: str, layers: Sequence[Layer]) -> None:
        await tx.recipes.keep_layers(
            self._to.org_id, self._key(key), layers, repository=self._to.repository
        )


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The next one is made while the last one is under way."""
    in_thread = partial(asyncio.get_running_loop().run_in_executor, None, next, chunks, None)
    coming = in_thread()
    try:
        while (chunk := await asyncio.shield(coming)) is not None:
            coming = in_thread()
            yield chunk
    finally:
        await asyncio.wait([coming])  # a thread cannot be interrupted, and holds files open
