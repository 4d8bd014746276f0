"""Whom builds ask: the registry for bytes, verified while they come, the deployer for secrets."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from libs.chassis.client import OrgRef, Peer
from libs.contracts.deployer import SecretsOpened, SecretsWanted
from libs.contracts.registry import ResolvedBento
from services.builder.errors import BuildFailedError

_CHUNK: Final = 2**20


class Registry:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def resolve(self, repository: str, version: str, org: OrgRef) -> ResolvedBento:
        """Raises the registry's own refusal where it is not there, or not whole."""
        path = f"/internal/bentos/{repository}/{version}"
        answer = await self._peer.json("GET", path, org=org)
        return ResolvedBento.model_validate(answer)

    async def fetch(self, digest: str, org_id: UUID, file: Path) -> None:
        """The blob as ``file``, or an error: never other bytes than asked for."""
        org = OrgRef(org_id, "")  # events name organisations by their ids alone
        seen = hashlib.sha256()
        async with self._peer.stream("GET", f"/internal/blobs/{digest}", org=org) as answer:
            await save(_hashed(answer.content.iter_chunked(_CHUNK), seen), file)
        if f"sha256:{seen.hexdigest()}" != digest:
            raise BuildFailedError("blob-corrupt", f"the registry sent other bytes than {digest}")


class Deployer:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def opened(
        self, names: tuple[str, ...], beginnings: tuple[str, ...], org: OrgRef
    ) -> dict[str, str]:
        """Variables of an organisation's secrets, those that begin so. Raises its refusals."""
        wanted = SecretsWanted(names=names, beginnings=beginnings)
        answer = await self._peer.json("POST", "/internal/secrets/opened", org=org, body=wanted)
        return SecretsOpened.model_validate(answer).variables


async def save(pieces: AsyncIterable[bytes], file: Path) -> None:
    with await asyncio.to_thread(file.open, "wb") as out:
        async for piece in pieces:
            await asyncio.to_thread(out.write, piece)


async def _hashed(pieces: AsyncIterable[bytes], seen: Any) -> AsyncIterator[bytes]:
    async for piece in pieces:
        await asyncio.to_thread(seen.update, piece)
        yield piece
