"""An S3 server that answers badly now and then: it stands in front of a good one."""

import asyncio
import io
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import aiohttp
from aiohttp import web

Fault = Literal["500", "503", "lost", "error in 200", "cut", "slow"]
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_ERROR: Final = (
    '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>no</Message></Error>'
)


@dataclass
class Faults:
    """``share`` of all answers are bad, in one of the ways ``kinds`` names."""

    kinds: tuple[Fault, ...] = ()
    share: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - no secret
    done: Counter[str] = field(default_factory=Counter)

    def choose(self, request: web.Request) -> Fault | None:
        if not self.kinds or self.chance.random() >= self.share:
            return None
        kind = self.chance.choice(self.kinds)
        is_end = request.method == "POST" and "uploadId" in request.query
        if kind == "error in 200" and not is_end:
            return None
        if kind == "cut" and request.method != "GET":
            return None
        self.done[kind] += 1
        return kind


@asynccontextmanager
async def in_front_of(endpoint: str, faults: Faults) -> AsyncIterator[str]:
    """Where it answers."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            fault = faults.choose(request)
            if fault == "500" or fault == "503":  # noqa: PLR1714 - narrows
                await request.read()
                return web.Response(status=int(fault), text=_ERROR)
            if fault == "slow":
                await asyncio.sleep(0.5)
            async with session.request(
                request.method,
                f"{endpoint}{request.rel_url.raw_path_qs}",
                headers=request.headers,
                data=io.BytesIO(await request.read()),
            ) as answer:
                body = await answer.read()
                headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
                if fault == "lost" and request.transport is not None:
                    request.transport.close()
                if fault == "error in 200":
                    return web.Response(text=_ERROR, content_type="application/xml")
                if request.method == "HEAD":
                    length = {"Content-Length": answer.headers.get("Content-Length", "0")}
                    return web.Response(status=answer.status, headers=headers | length)
                if fault == "cut":
                    return await _cut(request, answer.status, headers, body)
                return web.Response(status=answer.status, headers=headers, body=body)

        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def _cut(
    request: web.Request, status: int, headers: dict[str, str], body: bytes
) -> web.StreamResponse:
    """Half of what was promised."""
    response = web.StreamResponse(
        status=status, headers=headers | {"Content-Length": str(len(body))}
    )
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
