"""A blob on its way here: verified while it comes, and gone on with where a connection broke."""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.refusals import refusal
from services.builder.oci.transport import Transport

_CHUNK: Final = 2**20
_PROGRESS: Final = 2**20
"""Bytes that show that it is worth to try on."""
_THREADED: Final = 2**17
_OK: Final = 200
_PARTIAL: Final = 206
_ABSENT: Final = 404
_BEYOND: Final = 416
_FROM: Final = re.compile(r"bytes\s+([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)")


class Download:
    def __init__(
        self, transport: Transport, url: URL, *, scope: str, digest: str, size: int
    ) -> None:
        self._transport = transport
        self._url = url
        self._scope = scope
        self._digest = digest
        self._size = size
        self._received = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        seen = hashlib.new(self._digest.partition(":")[0])
        turn, whole = 0, False
        while not whole:
            before = self._received
            try:
                async for chunk in self._rest():
                    self._received += len(chunk)
                    self._require(self._received <= self._size, f"more than {self._size} bytes")
                    await update(seen, chunk)
                    yield chunk
                whole = True
            except RegistryUnreachableError as error:
                turn = 1 if self._received - before >= _PROGRESS else turn + 1
                await self._transport.pause(turn, error)
        self._require(
            self._digest.endswith(f":{seen.hexdigest()}"), f"other bytes, {seen.hexdigest()}"
        )

    async def _rest(self) -> AsyncIterator[bytes]:
        """Behind what is here."""
        first = self._received
        headers = {"Range": f"bytes={first}-"} if first else {}
        async with self._transport.answer(
            "GET", self._url, scope=self._scope, headers=headers
        ) as answer:
            skipped = await self._begin(answer, first)
            with self._transport.translated():
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    rest = chunk[skipped:]
                    skipped -= len(chunk) - len(rest)
                    if rest:
                        yield rest
        if self._received < self._size:
            raise RegistryUnreachableError(self._transport.name, "a blob ended too early")

    async def _begin(self, answer: aiohttp.ClientResponse, first: int) -> int:
        """How many of the answer's bytes are here already."""
        if answer.status == _PARTIAL and first:
            begins = _FROM.match(answer.headers.get("Content-Range", ""))
            self._require(begins and int(begins[1]) == first, "a range that was not asked for")
            return 0
        if answer.status == _OK:
            said = answer.content_length
            self._require(said in {None, self._size}, f"{said} bytes instead of {self._size}")
            return first
        self._require(answer.status not in {_BEYOND, _PARTIAL}, "fewer bytes than it has")
        if answer.status == _ABSENT:
            name = self._transport.name
            raise BuildFailedError("base-image-absent", f"{name} has no {self._digest}")
        raise refusal(self._transport.name, await self._transport.read(answer))

    def _require(self, right: object, words: str) -> None:
        if not right:
            why = f"{self._transport.name} sent {words} for {self._digest}"
            raise BuildFailedError("image-invalid", why)


async def update(seen: "hashlib._Hash", chunk: bytes) -> None:
    """Small pieces are hashed sooner than a thread is asked."""
    if len(chunk) < _THREADED:
        seen.update(chunk)
    else:
        await asyncio.to_thread(seen.update, chunk)
