"""A client that sends bytes by signed URLs, as BentoML's does."""

import io
import os
from typing import Any, Final

import aiohttp

from tests.support.registry import BENTOS, archive, create, send

SENT: Final = archive("v1", payload=os.urandom(12 * 2**20))
PART: Final = 5 * 2**20
V1: Final = f"{BENTOS}/v1"


async def choose(session: aiohttp.ClientSession, strategy: str) -> None:
    body = {"transmission_strategy": strategy}
    assert (await send(session, "PUT", "/api/registry/settings", body)) == (200, body)


async def put(session: aiohttp.ClientSession, url: str, content: bytes) -> tuple[int, str]:
    """As a client does; what is signed for the gateway is sent to the registry behind it."""
    where = url.replace("http://gateway", "")
    async with session.put(where, data=io.BytesIO(content)) as answer:
        return answer.status, answer.headers.get("ETag", "")


async def begin(session: aiohttp.ClientSession, strategy: str) -> None:
    await choose(session, strategy)
    await create(session, "v1")


async def push_whole(session: aiohttp.ClientSession, content: bytes) -> tuple[int, Any]:
    _, seen = await send(session, "PATCH", f"{V1}/presign_upload_url", {})
    await send(session, "PATCH", f"{V1}/start_upload")
    assert (await put(session, seen["presigned_upload_url"], content))[0] in {200, 422}
    return await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})


async def push_parts(session: aiohttp.ClientSession, content: bytes) -> tuple[int, Any]:
    await send(session, "PATCH", f"{V1}/start_upload")
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    upload = begun["upload_id"]
    parts = []
    for number, at in enumerate(range(0, len(content), PART), start=1):
        asked = {"upload_id": upload, "part_number": number}
        _, seen = await send(session, "PATCH", f"{V1}/presign_multipart_upload_url", asked)
        status, etag = await put(session, seen["presigned_upload_url"], content[at : at + PART])
        assert status == 200
        assert etag
        parts.append({"part_number": number, "etag": etag})
    done = {"upload_id": upload, "parts": parts}
    assert (await send(session, "PATCH", f"{V1}/complete_multipart_upload", done))[0] == 200
    return await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
