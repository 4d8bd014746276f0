"""Where ``Authorization`` comes from, and the simplest places."""

import base64
from collections.abc import Awaitable, Callable
from typing import Protocol

from typing_extensions import override


class Access(Protocol):
    """Of one registry. What it holds is in no ``repr``, error or log."""

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        """The header's value; ``None`` to go without.

        ``challenge`` is what the registry just answered to what was sent: with it, the same value
        again is no use. ``scope``: ``repository:team/iris:pull,push``, several divided by spaces.
        """
        ...


class AnonymousAccess:
    """Says nothing of who asks. Docker Hub wants :class:`TokenAccess`, even so."""

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        del challenge, scope
        return None


class BasicAccess:
    def __init__(self, username: str, password: str) -> None:
        self._value = basic(username, password)

    @override
    def __repr__(self) -> str:
        return "BasicAccess(…)"

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        del scope
        return None if challenge else self._value


class CalledAccess:
    """``make`` is asked each time: for identities that are signed anew for each request."""

    def __init__(self, make: Callable[[str], Awaitable[str]]) -> None:
        self._make = make

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        return None if challenge else await self._make(scope)


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
