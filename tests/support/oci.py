"""A client of image repositories, as the specification has one."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

EMPTY: Final = b"{}"
OTHER_ORG: Final = {"X-Test-Org": "2"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Any
    body: bytes
    json: Any

    @property
    def code(self) -> str:
        """The specification's code of a refusal."""
        [error] = self.json["errors"]
        assert set(error) == {"code", "message", "detail"}
        return str(error["code"])


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def call(
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any = None,
    **headers: str,
) -> Answer:
    """Header names are written with ``_`` for ``-``."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with session.request(method, path, data=data, headers=sent) as answer:
        raw = await answer.read()
        said = await answer.json() if raw and "json" in answer.content_type else None
        return Answer(answer.status, answer.headers, raw, said)


async def begin(session: aiohttp.ClientSession, name: str = "team/iris", **headers: str) -> str:
    """Where the upload takes bytes."""
    begun = await call(session, "POST", f"/v2/{name}/blobs/uploads/", **headers)
    assert begun.status == 202, begun.body
    return str(begun.headers["Location"])


async def push(
    session: aiohttp.ClientSession, content: bytes, name: str = "team/iris", **headers: str
) -> str:
    """The digest."""
    digest = digest_of(content)
    path = f"/v2/{name}/blobs/uploads/?digest={digest}"
    done = await call(session, "POST", path, content, **headers)
    assert done.status == 201, done.body
    return digest
