"""Blobs on their way to a registry: streamed once while they are made, or whole."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote

from typing_extensions import override
from yarl import URL

from libs.chassis.errors import ServiceError
from libs.contracts.types import digest_of
from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.downloads import update
from services.builder.oci.refusals import Answer, refusal
from services.builder.oci.transport import Transport

_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = frozenset({202, 204})
_ABSENT: Final = 404
_UNAUTHORISED: Final = 401
_LOST: Final = frozenset({404, 416})
"""An upload that is forgotten, or not where we believe: begun anew."""
_BYTES: Final = {"Content-Type": "application/octet-stream"}


class Pushed(NamedTuple):
    digest: str
    size: int


class Content(AsyncIterator[bytes]):
    """Hashed while a registry takes it. Who takes nothing for ``silence`` seconds is given up."""

    def __init__(self, source: AsyncIterable[bytes], *, silence: float) -> None:
        self._source = aiter(source)
        self._silence = silence
        self._seen = hashlib.sha256()
        self._limit = asyncio.timeout(None)
        self._watching = False
        self.size = 0
        self.whole = False
        self.failure: BaseException | None = None
        """Of the source, which aiohttp would call a broken connection."""

    @property
    def pushed(self) -> Pushed:
        return Pushed(f"sha256:{self._seen.hexdigest()}", self.size)

    @override
    async def __anext__(self) -> bytes:
        self._wait(None)
        try:
            chunk = b""
            while not chunk:
                chunk = await anext(self._source)
        except StopAsyncIteration:
            self.whole = True
            raise
        except BaseException as error:
            self.failure = error
            raise
        await update(self._seen, chunk)
        self.size += len(chunk)
        self._wait(self._silence)
        return chunk

    async def sent_by(self, sending: Awaitable[Answer]) -> Answer:
        self._watching = True
        try:
            async with self._limit:
                return await sending
        finally:
            self._watching = False
            if (close := getattr(self._source, "aclose", None)) is not None:
                with suppress(RuntimeError):  # it is being asked for more this very moment
                    await close()

    def _wait(self, seconds: float | None) -> None:
        if self._watching and not self._limit.expired():
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(None if seconds is None else now + seconds)


class Uploads:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def has(self, repository: str, digest: str) -> bool:
        url = self._transport.at(f"/v2/{repository}/blobs/{digest}")
        answer = await self._transport.ask("HEAD", url, scope=f"repository:{repository}:pull")
        if answer.status not in {_OK, _ABSENT}:
            raise self._refused(answer)
        return answer.status == _OK

    async def stream(self, repository: str, make: Callable[[], AsyncIterable[bytes]]) -> Pushed:
        turn = 0
        while True:
            content = Content(make(), silence=self._transport.patience.silence)
            try:
                await self._attempt(repository, content, first=turn == 0)
                return content.pushed
            except RegistryUnreachableError as error:
                if content.whole and await self.has(repository, content.pushed.digest):
                    return content.pushed
                turn += 1
                await self._transport.pause(turn, error)

    async def whole(self, repository: str, body: bytes) -> Pushed:
        pushed = Pushed(digest_of(body), len(body))
        turn = 0
        while not await self.has(repository, pushed.digest):
            try:
                await self._in_one(repository, pushed.digest, body)
                break
            except RegistryUnreachableError as error:
                turn += 1
                await self._transport.pause(turn, error)
        return pushed

    async def cancel(self, begun: Answer, scope: str) -> None:
        """As well as it goes: registries forget uploads by themselves."""
        with suppress(ServiceError, BuildFailedError):
            where = self._transport.location(begun.url, begun.headers)
            await self._delete(where, scope)

    async def _attempt(self, repository: str, content: Content, *, first: bool) -> None:
        begun = where = await self._begin(repository)
        try:
            where = await self._patch(where, repository, content, first=first)
            await self._finish(where, repository, content.pushed.digest)
        except Exception:
            with suppress(ServiceError, BuildFailedError):
                await self._delete(begun, _pushing(repository))
            raise

    async def _in_one(self, repository: str, digest: str, body: bytes) -> None:
        """One request, where the registry takes that; else it has begun an upload by it, or not."""
        path = f"/v2/{repository}/blobs/uploads/?digest={quote(digest, safe='')}"
        answer = await self._transport.ask(
            "POST",
            self._transport.at(path),
            scope=_pushing(repository),
            data=body,
            headers=_BYTES,
            silence=self._transport.patience.finishing,
        )
        if answer.status == _CREATED:
            return
        if answer.status in _ACCEPTED:
            where = self._transport.location(answer.url, answer.headers)
        else:
            where = await self._begin(repository)
        await self._finish(where, repository, digest, body=body)

    async def _begin(self, repository: str) -> URL:
        url = self._transport.at(f"/v2/{repository}/blobs/uploads/")
        answer = await self._transport.ask("POST", url, scope=_pushing(repository), data=b"")
        if answer.status not in _ACCEPTED:
            raise self._refused(answer)
        return self._transport.location(answer.url, answer.headers)

    async def _patch(self, where: URL, repository: str, content: Content, *, first: bool) -> URL:
        try:
            answer = await content.sent_by(self._send(where, repository, content))
        except (RegistryUnreachableError, TimeoutError) as error:
            if content.failure is not None:
                raise content.failure from None
            if isinstance(error, TimeoutError):
                raise self._unreachable("it takes no more bytes") from None
            raise
        if answer.status in _LOST or (answer.status == _UNAUTHORISED and first):
            raise self._unreachable(f"it gave up an upload: {answer.status}")
        if answer.status not in _ACCEPTED:
            raise self._refused(answer)
        if not content.whole:
            raise self._unreachable("it answered before it had a blob's bytes")
        return self._transport.location(answer.url, answer.headers)

    async def _send(self, where: URL, repository: str, content: Content) -> Answer:
        async with self._transport.answer(
            "PATCH",
            where,
            scope=_pushing(repository),
            data=content,
            headers=_BYTES,
            silence=self._transport.patience.finishing,
        ) as answer:
            return await self._transport.read(answer)

    async def _finish(self, where: URL, repository: str, digest: str, *, body: bytes = b"") -> None:
        mark = "&" if where.raw_query_string else "?"
        url = URL(f"{where}{mark}digest={quote(digest, safe='')}", encoded=True)
        async with self._transport.answer(
            "PUT",
            url,
            scope=_pushing(repository),
            data=body,
            headers=_BYTES,
            silence=self._transport.patience.finishing,
        ) as got:
            answer = await self._transport.read(got)
        if answer.status in _LOST:
            raise self._unreachable(f"it forgot an upload: {answer.status}")
        if answer.status not in {_CREATED, *_ACCEPTED}:
            raise self._refused(answer)

    async def _delete(self, where: URL, scope: str) -> None:
        async with self._transport.answer("DELETE", where, scope=scope) as answer:
            await self._transport.read(answer)

    def _refused(self, answer: Answer) -> Exception:
        return refusal(self._transport.name, answer)

    def _unreachable(self, why: str) -> RegistryUnreachableError:
        return RegistryUnreachableError(self._transport.name, why)


def _pushing(repository: str) -> str:
    return f"repository:{repository}:pull,push"
