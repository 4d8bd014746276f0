"""The platform's API, asked with the home's own token over plain HTTP."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final, Protocol

from cli.errors import CommandError
from cli.home import Home
from cli.ports import bracketed, reachable

_SECONDS: Final = 30
_PIECE: Final = 2**20
_QUIET_SECONDS: Final = 3600
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The platform is on this machine: a proxy of the environment is not for it."""


class Readable(Protocol):
    """As much of a file as it takes to send it."""

    def read(self, size: int = -1, /) -> bytes: ...


class NotThereError(CommandError):
    """The platform knows no such thing."""


@dataclass(frozen=True, slots=True)
class Api:
    """One platform, by its port on loopback."""

    url: str
    token: str

    @classmethod
    def of(cls, home: Home) -> "Api":
        identity = home.identity()
        host = bracketed(reachable(identity.host))
        return cls(f"http://{host}:{identity.port}", home.token())

    def get(self, path: str, params: Mapping[str, str | None] | None = None) -> Any:
        with self._asked("GET", path, params=params) as answer:
            return json.load(answer)

    def all(self, path: str, params: Mapping[str, str | None] | None = None) -> Iterator[Any]:
        """Items of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(path, {**(params or {}), "cursor": cursor or None})
            yield from page["items"]
            cursor = page["next"]

    def post(self, path: str, body: object = None, *, patient: bool = False) -> Any:
        """``patient`` waits as long as it takes: what is asked for is done meanwhile."""
        return self._sent("POST", path, body, headers={} if patient else None)

    def send(
        self, path: str, file: Readable, size: int, *, params: Mapping[str, str | None]
    ) -> Any:
        """All of ``file``, and what is answered to it."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._asked("POST", path, params=params, data=file, headers=headers) as answer:
            return json.load(answer)

    def put(self, path: str, body: object) -> Any:
        return self._sent("PUT", path, body)

    def patch(self, path: str, body: object) -> Any:
        return self._sent("PATCH", path, body)

    def maybe(self, path: str) -> Any:
        """None where there is no such thing."""
        try:
            return self.get(path)
        except NotThereError:
            return None

    def upload(self, path: str, file: Readable, size: int) -> None:
        """All of ``file``, from where it is."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._asked("PUT", path, data=file, headers=headers) as answer:
            answer.read()

    @contextmanager
    def reading(self, path: str) -> Iterator[Readable]:
        """A disk of this side that is full, say, is no trouble of the platform."""
        own: OSError | None = None
        with self._asked("GET", path, headers={}) as answer:
            try:
                yield _Received(answer, self._broken)
            except OSError as error:
                own = error
        if own is not None:
            raise own

    def delete(self, path: str, params: Mapping[str, str | None] | None = None) -> Any:
        return self._sent("DELETE", path, None, params=params)

    def content(self, path: str) -> Iterator[bytes]:
        """Bytes as they come."""
        with self._asked("GET", path, headers={}) as answer:
            while piece := answer.read(_PIECE):
                yield piece

    def lines(
        self,
        path: str,
        params: Mapping[str, str | None] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """A text stream, line by line, for as long as the platform sends."""
        with self._asked("GET", path, params=params, headers=headers or {}) as answer:
            for line in answer:
                yield line.decode(errors="replace").rstrip("\r\n")

    def _sent(
        self,
        method: str,
        path: str,
        body: object,
        *,
        params: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        with self._asked(method, path, params=params, body=body, headers=headers) as answer:
            raw = answer.read()
            return json.loads(raw) if raw else {}

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | None] | None = None,
        body: object = None,
        data: Readable | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        """``headers`` say that the answer is a stream, which may be silent for long."""
        request = urllib.request.Request(  # noqa: S310 - an address of our own
            f"{self.url}{path}{_query(params or {})}",
            method=method,
            data=data if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        timeout = _SECONDS if headers is None else _QUIET_SECONDS
        try:
            with _DIRECT.open(request, timeout=timeout) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                missing = error.code == HTTPStatus.NOT_FOUND
                refused = NotThereError if missing else CommandError
                raise refused(*_problem(error)) from error
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> CommandError:
        return CommandError(
            f"the platform at {self.url} does not answer: {error}",
            "`yokocho status` says whether it runs, `yokocho up` starts it",
        )


class _Received:
    """An answer that is whole, or says that it is not."""

    def __init__(self, answer: HTTPResponse, broken: Callable[[Exception], CommandError]) -> None:
        self._answer = answer
        self._broken = broken

    def read(self, size: int = -1, /) -> bytes:
        try:
            piece = self._answer.read(size)
            if len(piece) < size and self._answer.length:
                raise IncompleteRead(piece, self._answer.length)
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error
        return piece


def _query(params: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in params.items() if value is not None}
    return f"?{urllib.parse.urlencode(given)}" if given else ""


def _problem(error: urllib.error.HTTPError) -> tuple[str, str]:
    """What the platform says is wrong, in its own words."""
    raw = error.read().decode(errors="replace")
    try:
        told = json.loads(raw)
        said = told.get("detail") or told.get("title") or raw
    except (ValueError, AttributeError):
        said = raw or error.reason
    cure = "`yokocho logs gateway` has more" if error.code >= 500 else ""  # noqa: PLR2004 - its own fault
    return f"{said} (HTTP {error.code})", cure
