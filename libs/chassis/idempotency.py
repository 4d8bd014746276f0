"""``Idempotency-Key``: a request that is repeated takes effect once and is answered the same."""

import re
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any, ClassVar, Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from libs.chassis.auth import PRINCIPAL
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.openapi import IDEMPOTENCY_KEY
from libs.chassis.postgres import Connection
from libs.chassis.problems import read_bytes

REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[!-~]{1,255}")
_CLAIM: Final = """
    INSERT INTO idempotency (org_id, actor, key, fingerprint) VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT idempotency_pkey DO NOTHING RETURNING true
"""
_KNOWN: Final = """
    SELECT fingerprint, status, body FROM idempotency
    WHERE org_id = $1 AND actor = $2 AND key = $3
"""
_ANSWERED: Final = """
    UPDATE idempotency SET status = $4, body = $5 WHERE org_id = $1 AND actor = $2 AND key = $3
"""
_FORGET: Final = """
    DELETE FROM idempotency WHERE ctid IN (
        SELECT ctid FROM idempotency WHERE created_at < now() - interval '1 day'
        ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)
"""


class KeyInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "idempotency-key-invalid"
    title: ClassVar[str] = "The Idempotency-Key cannot be used"


class Joinable(Protocol):
    """A database whose transactions can be made one."""

    def joined(self) -> AbstractAsyncContextManager[Connection]: ...


def once(handler: Handler, database: Joinable) -> Handler:
    """The effect of ``handler``, and its answer, are committed with the key, or none of them.

    Keys are a caller's own. A refusal is not kept: what is repeated after one is tried again.
    Two at a time: the second waits for the first.
    """

    async def handled(request: web.Request) -> web.StreamResponse:
        key = request.headers.get(IDEMPOTENCY_KEY)
        if key is None:
            return await handler(request)
        if not _KEY.fullmatch(key):
            raise KeyInvalidError("it is 1 to 255 visible ASCII characters, best a random UUID")
        caller = request[PRINCIPAL]
        whose = (caller.org_id, caller.actor, key)
        fingerprint = await _fingerprint(request)
        async with database.joined() as connection:
            if not await connection.fetchval(_CLAIM, *whose, fingerprint):
                return _again(await connection.fetchrow(_KNOWN, *whose), fingerprint)
            answer = await handler(request)
            if not isinstance(answer, web.Response):
                raise TypeError("a stream cannot be kept")
            await connection.execute(_ANSWERED, *whose, answer.status, answer.body or b"")
            await connection.execute(_FORGET)
        return answer

    return handled


async def _fingerprint(request: web.Request) -> bytes:
    asked = f"{request.method} {request.raw_path}\n".encode()
    return sha256(asked + await read_bytes(request)).digest()


def _again(known: Any, fingerprint: bytes) -> web.Response:
    if known is None or known["fingerprint"] != fingerprint:
        raise KeyInvalidError("it was used for another request: a new request has a new key")
    return web.Response(
        status=known["status"],
        body=known["body"] or None,
        headers={REPLAYED: "true", "X-Content-Type-Options": "nosniff"},
        content_type="application/json" if known["body"] else "application/octet-stream",
    )
