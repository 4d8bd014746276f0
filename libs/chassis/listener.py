"""One application on one socket: aiohttp's server with our deadlines, problems and drain."""

import asyncio
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from aiohttp import http_parser, web
from typing_extensions import override

from libs.chassis.http import IN_FLIGHT, STOPPING, STREAMS
from libs.chassis.problems import plain_problem

KEEPALIVE: Final = timedelta(seconds=30)
HEADERS: Final = timedelta(seconds=10)
"""How long a client may take to send the head of a request that it has begun."""
_BACKLOG: Final = 1024
_POLL: Final = timedelta(milliseconds=20)
_LAST: Final = timedelta(milliseconds=200)
"""What a handler has to end in once it is cancelled."""
_FRESH: Final = 1.0
"""Seconds for which a new connection is believed to be about to send its request."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Listener:
    """``app`` on ``socket``.

    A proxy wants ``handler_cancellation`` (a client that went away frees the upstream) and no
    ``auto_decompress`` (bodies pass as they are); for others a half-done handler is the worse evil.
    """

    app: web.Application
    socket: socket.socket
    handler_cancellation: bool = False
    auto_decompress: bool = True


class Server:
    """A listener at work."""

    def __init__(self, listener: Listener) -> None:
        self._app = listener.app
        self._socket = listener.socket
        self._auto_decompress = listener.auto_decompress
        self._runner = web.AppRunner(
            listener.app,
            handler_cancellation=listener.handler_cancellation,
            shutdown_timeout=_LAST.total_seconds(),
        )
        self._server: asyncio.Server | None = None
        host, port = listener.socket.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
            raise RuntimeError("aiohttp's C parser is not loaded; the other one has known holes")
        await self._runner.setup()
        self._socket.setblocking(False)  # noqa: FBT003 -- not our signature
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, sock=self._socket, backlog=_BACKLOG
        )

    async def drain(self, limit: timedelta) -> None:
        """Accept nothing new; wait until what is in flight is done, for ``limit`` at most."""
        self._app[STOPPING].set()
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(_POLL.total_seconds())  # what had been accepted is read first
        streams = self._app[STREAMS]
        for request in tuple(streams):
            request.cancel()
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while self._close_idle():  # noqa: ASYNC110 -- aiohttp announces no end of a request
                    await asyncio.sleep(_POLL.total_seconds())
        except TimeoutError:
            _log.warning("http.drain_overran", listener=self.address, requests=self._close_idle())

    async def close(self) -> None:
        self._app[STOPPING].set()
        if self._server is not None:
            self._server.close()
        self._socket.close()
        await self._runner.cleanup()
        await self._end_orphans()

    async def _end_orphans(self) -> None:
        """Handlers whose clients went away are forgotten by aiohttp; none may outlive us."""
        tasks = self._app.get(IN_FLIGHT, set())
        left = tuple(tasks)
        for request in left:
            request.cancel()
        if left:
            await asyncio.wait(left, timeout=_LAST.total_seconds())
            await asyncio.sleep(0)

    def _close_idle(self) -> int:
        """Close every connection that waits for a request; says how many are left."""
        server = self._runner.server
        busy = 0
        for each in server.connections if server is not None else ():
            if isinstance(each, _Connection) and (each.busy or each.expected):
                busy += 1
            else:
                each.force_close()
        return busy

    def _connection(self) -> "_Connection":
        server = self._runner.server
        if server is None:
            raise RuntimeError("the listener has been closed")
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE.total_seconds(),
            auto_decompress=self._auto_decompress,
            access_log=None,
        )


class _Connection(web.RequestHandler):
    """aiohttp's connection, with a deadline for headers and answers that echo nothing."""

    __slots__ = ("_head_deadline", "_made_at")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._made_at = self._loop.time()

    @property
    def busy(self) -> bool:
        return self._request_in_progress or bool(self._messages)

    @property
    def expected(self) -> bool:
        """A request is being sent, or will be at once: the connection was made for it."""
        fresh = self._request_count == 0 and self._loop.time() - self._made_at < _FRESH
        return self._head_deadline is not None or fresh

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.busy:
            self._forget_deadline()
        elif self._head_deadline is None:
            self._head_deadline = self._loop.call_later(HEADERS.total_seconds(), self._too_slow)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_deadline()
        if not self.busy and self._task_handler is not None:
            self._task_handler.cancel()  # else it waits ten seconds for the rest of a refused body
        super().connection_lost(exc)

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What did not even reach the application. Never says what was sent."""
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionResetError("an answer was begun, or nobody is there to have one")
        _log.info("http.malformed", status=status, reason=type(exc).__name__)
        answer = plain_problem(status, title="Bad Request", detail="this is not valid HTTP")
        answer.headers["Server"] = "yokocho"
        answer.force_close()
        return answer

    def _too_slow(self) -> None:
        self._head_deadline = None
        if not self.busy:
            self.force_close()

    def _forget_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
