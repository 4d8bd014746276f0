"""Calls with a trap in them that ruff's TID251 cannot see: methods, and calls with a place.

What is banned everywhere by its full name stands in pyproject.toml, beside its reason.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.support.calls import Call, calls, imports
from tests.support.sources import EVERYWHERE, modules, tree


@dataclass(frozen=True, slots=True)
class Ban:
    """``name`` may be called only below ``places``; ``*.method`` on whatever object.

    ``importing`` narrows a method's ban to modules that import that package.
    """

    name: str
    why: str
    places: tuple[str, ...] = ()
    importing: str | None = None
    unless: str | None = None


_BUS: Final = ("libs/chassis/bus/",)
_INBOX: Final = ("libs/chassis/bus/connection.py", "tests/adapters/")
"""Replies to raw pulls come to a core subscription."""
_TESTS: Final = ("tests/", "bench/")
_FORKING: Final = (
    "cli/",
    "libs/chassis/isolation/enter.py",
    "tests/data/deployer/intruder.py",
)
_BANS: Final = (
    # -- who may start, connect, transact
    Ban("asyncio.create_task", "named loops are passed to serve()", ("libs/chassis/", *_TESTS)),
    Ban("*.run_until_complete", "one asyncio.run per process"),
    Ban("nats.connect", "its callbacks must not raise: libs.chassis.bus", (*_BUS, *_TESTS)),
    Ban(
        "asyncpg.connect",
        "libs.chassis.postgres knows deadlines and errors",
        ("libs/chassis/", "cli/bootstrap.py", *_TESTS),
    ),
    Ban("asyncpg.create_pool", "libs.chassis.postgres.create_pool", ("libs/chassis/",)),
    Ban("os.fork", "only these have one thread and know it", _FORKING),
    # -- nats-py: what loses messages or hangs
    Ban("*.subscribe", "push consumers lose messages silently; pull", _INBOX, "nats"),
    Ban("*.pull_subscribe", "ignores its config when the durable exists", importing="nats"),
    Ban("*.publish_async", "its futures never resolve after a reconnect", importing="nats"),
    Ban("*.drain", "hangs for its whole timeout after idle fetches: close()", _INBOX, "nats"),
    Ban("*.key_value", "KV watches leak consumers", importing="nats"),
    Ban("*.create_key_value", "KV watches leak consumers", importing="nats"),
    Ban("*.object_store", "bytes live in the blob store", importing="nats"),
    Ban("*.ack_sync", "is no more durable than ack, only slower", importing="nats"),
    Ban("*.term", "has no reason argument: publish +TERM with one", importing="nats"),
    Ban("*.is_connected", "stays true for a dead read loop: a round trip", _BUS, "nats"),
    Ban("*.fetch", "waits 5 s where it is not told; told, at most 5", (), "nats", unless="timeout"),
    # -- files and addresses
    Ban("*.extractall", "trusts names and links: the registry's own tar walker", _TESTS),
    Ban("*.is_global", "is true for NAT64, 6to4 and multicast: an own table"),
    Ban("*.is_private", "is false for NAT64, 6to4 and multicast: an own table"),
    Ban("aiohttp.web.FileResponse", "sends bytes unchecked: chunks are verified", _TESTS),
    Ban("os.sendfile", "sends bytes unchecked: chunks are verified"),
)


@pytest.mark.parametrize("ban", _BANS, ids=lambda ban: ban.name)
def test_nobody_calls(ban: Ban) -> None:
    found = [
        f"{path}:{line}"
        for path in modules(*EVERYWHERE)
        if not str(path).startswith(ban.places or ("\0",))
        for line in _breaches(ban, tree(path))
    ]

    assert not found, ban.why


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("import asyncio\nasyncio.create_task(x())", "asyncio.create_task", id="plain"),
        pytest.param(
            "from asyncio import create_task as go\ngo(x())", "asyncio.create_task", id="renamed"
        ),
        pytest.param(
            "import asyncio\nspawn = asyncio.create_task", "asyncio.create_task", id="handed on"
        ),
        pytest.param("import nats\nawait js.subscribe('a')", "*.subscribe", id="method"),
        pytest.param("import nats.js\nself._a.b().drain()", "*.drain", id="method of a result"),
        pytest.param(
            "from nats.aio.client import Client\nif c.is_connected: ...",
            "*.is_connected",
            id="property",
        ),
        pytest.param("import nats\nawait s.fetch(1)", "*.fetch", id="argument left out"),
        pytest.param("with tarfile.open(a) as t:\n  t.extractall(b)", "*.extractall", id="tar"),
    ],
)
def test_a_breach_is_found(text: str, name: str) -> None:
    ban = next(each for each in _BANS if each.name == name)

    assert list(_breaches(ban, ast.parse(text)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("group.create_task(x())", "asyncio.create_task", id="TaskGroup's"),
        pytest.param("await writer.drain()", "*.drain", id="a stream's, without nats"),
        pytest.param("import nats\nawait s.fetch(1, timeout=5)", "*.fetch", id="argument given"),
    ],
)
def test_other_calls_are_not(text: str, name: str) -> None:
    ban = next(each for each in _BANS if each.name == name)

    assert not list(_breaches(ban, ast.parse(text)))


def _breaches(ban: Ban, module: ast.Module) -> Iterator[int]:
    if ban.importing and not imports(module, ban.importing):
        return
    for each in calls(module):
        if _is(each, ban):
            yield each.line


def _is(call: Call, ban: Ban) -> bool:
    method = ban.name.removeprefix("*") if ban.name.startswith("*.") else None
    named = call.name.endswith(method) if method else call.name == ban.name
    if ban.unless is None:
        return named
    return named and call.called and ban.unless not in call.keywords
