"""A client that takes the steps of ``uploading.Model`` over HTTP."""

import asyncio
from functools import partial
from typing import Any, Final

import aiohttp

from tests.support.loops import eventually
from tests.support.registry import Served, send
from tests.support.transfers import put
from tests.support.uploading import ANNOUNCED, Content, bytes_of, whole

MODELS: Final = "/api/v1/model_repositories/iris/models"
TRASH: Final = "/api/registry/models/iris/versions"
_ABSENT: Final = "0" * 64


class Client:
    """Takes the model's steps for an organisation of its own; each answers with a status."""

    def __init__(self, registry: Served, org: int) -> None:
        self.org = org
        self._registry = registry
        self._elsewhere = aiohttp.ClientSession(
            registry.url, headers={"X-Test-Org": str(org + 1_000_000)}
        )
        self.session = aiohttp.ClientSession(registry.url, headers={"X-Test-Org": str(org)})
        self._urls: list[tuple[str, str]] = []
        self._parts: list[tuple[str, str, dict[int, str]]] = []
        """Of uploads in parts: version, name, and the ETag of each part that came."""

    async def aclose(self) -> None:
        await self.session.close()
        await self._elsewhere.close()

    async def create(self, version: str) -> int:
        return await _create(self.session, version)

    async def start(self, version: str) -> int:
        return await self._patch(version, "start_upload")

    async def put(self, version: str, content: Content) -> int:
        body = bytes_of(version, content)
        return (await send(self.session, "PUT", f"{MODELS}/{version}/upload", body))[0]

    async def break_off(self, version: str) -> int:
        """In the middle, without a word."""
        if (await send(self.session, "GET", f"{MODELS}/{version}"))[0] == 404:
            return 404
        host, _, port = self._registry.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = bytes_of(version, whole("a"))
        writer.write(
            f"PUT {MODELS}/{version}/upload HTTP/1.1\r\nHost: x\r\nX-Test-Org: {self.org}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:5_000]
        )
        await eventually(lambda: len(self._registry.staged) == 1)
        writer.close()
        await writer.wait_closed()
        await eventually(partial(self._is_failed, version))
        return 0

    async def presign(self, version: str) -> int:
        status, seen = await self._asked(version, "presign_upload_url", {})
        if status == 200:
            self._urls.append((seen["presigned_upload_url"], version))
        return status

    async def begin_parts(self, version: str) -> int:
        status, seen = await self._asked(version, "start_multipart_upload")
        if status == 200:
            self._parts.append((version, seen["upload_id"], {}))
        return status

    async def send_whole(self, back: int, content: Content) -> int:
        if back >= len(self._urls):
            return 404
        url, version = self._urls[-1 - back]
        return (await put(self.session, url, bytes_of(version, content)))[0]

    async def send_part(self, back: int, number: int, kind: str) -> int:
        if back >= len(self._parts):
            return 404
        version, upload, etags = self._parts[-1 - back]
        asked = {"upload_id": upload, "part_number": number}
        status, seen = await self._asked(version, "presign_multipart_upload_url", asked)
        if status != 200:
            return status
        body = bytes_of(version, ((number, kind),))
        status, etags[number] = await put(self.session, seen["presigned_upload_url"], body)
        return status

    async def name_parts(self, back: int, how: str) -> int:
        if back >= len(self._parts):
            return 404
        version, upload, etags = self._parts[-1 - back]
        right = sorted(etags.items())
        named = {
            "right": right,
            "without the last": right[:-1],
            "another ETag": [(number, _ABSENT) for number, _ in right],
            "one that never came": [*right, (9, _ABSENT)],
        }[how]
        parts = [{"part_number": number, "etag": etag} for number, etag in reversed(named)]
        asked = {"upload_id": upload, "parts": parts}
        return await self._patch(version, "complete_multipart_upload", asked)

    async def finish(self, version: str, how: str) -> int:
        return await self._patch(version, "finish_upload", {"status": how})

    async def delete(self, version: str) -> int:
        return (await send(self.session, "DELETE", f"{TRASH}/{version}"))[0]

    async def undelete(self, version: str) -> int:
        return (await send(self.session, "POST", f"{TRASH}/{version}/undelete", b""))[0]

    async def empty_trash(self) -> int:
        asked = {"empty": True, "force": True}
        return (await send(self.session, "POST", "/api/registry/gc", asked))[0]

    async def push_elsewhere(self, version: str) -> int:
        await _create(self._elsewhere, version)
        body = bytes_of(version, whole("a"))
        return (await send(self._elsewhere, "PUT", f"{MODELS}/{version}/upload", body))[0]

    async def _is_failed(self, version: str) -> bool:
        _, seen = await send(self.session, "GET", f"{MODELS}/{version}")
        return bool(seen["upload_status"] == "failed")

    async def _patch(self, version: str, step: str, asked: object = b"") -> int:
        return (await self._asked(version, step, asked))[0]

    async def _asked(self, version: str, step: str, asked: object = b"") -> tuple[int, Any]:
        return await send(self.session, "PATCH", f"{MODELS}/{version}/{step}", asked)


async def _create(session: aiohttp.ClientSession, version: str) -> int:
    top = "/api/v1/model_repositories"
    await send(session, "POST", top, {"name": "iris"})
    manifest = {"module": "m", "api_version": "v1", "bentoml_version": "1"}
    asked = {
        "version": version,
        "manifest": manifest | {"size_bytes": ANNOUNCED},
        "build_at": "2026-11-20T10:09:03Z",
    }
    return (await send(session, "POST", f"{top}/iris/models", asked))[0]
