"""`yokocho build` and `yokocho builds`, against a builder that works."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.client import Api
from cli.following import follow
from cli.home import Home, Identity
from services.builder.domain import Wish
from tests.support import postgres
from tests.support.builder import Yard, building
from tests.support.builder_api import answering
from tests.support.loops import running
from tests.support.postgres import PostgresServer

NOWHERE = "nothing @ file:///nowhere/nothing-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Person:
    """At a terminal, with a home whose platform is the builder alone."""

    yard: Yard
    home: Home

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *words),
            env={**os.environ, "YOKOCHO_HOME": str(self.home.root)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def says(self, *words: str) -> tuple[int | None, str, str]:
        """Exit status, standard output, standard error."""
        process = await self.start(*words)
        async with asyncio.timeout(30):
            out, told = await process.communicate()
        return process.returncode, out.decode(), told.decode()

    async def json(self, *words: str) -> Any:
        status, out, told = await self.says(*words, "--json")
        assert status == 0, told
        return json.loads(out)


@pytest.fixture
async def person(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Person]:
    async with (
        postgres_server.database("builder") as own,
        postgres.pool_of(own) as pool,
        postgres_server.database("registry") as url,
        postgres.pool_of(url) as shelves,
        building(pool, shelves, tmp_path) as yard,
        answering(yard) as at,
    ):
        home = Home(tmp_path / "home")
        home.root.mkdir()
        home.save(Identity("test", port=urlsplit(at).port or 0))
        home.token_file.write_text("token")
        await yard.push("fox:v1", NOWHERE)
        yield Person(yard, home)


async def test_a_build_that_fails_is_followed_and_says_why(person: Person) -> None:
    async with running(person.yard.worker.run):
        status, out, _ = await person.says("build", "fox:v1")
        quiet = await person.says("build", "fox", "--json")

    assert status == 1
    assert out.startswith("--- plan\n")
    told = json.loads(quiet[1])
    assert (quiet[0], told["status"], told["bento"]) == (1, "failed", "fox:v1")
    assert f"failed: {told['code']}" in out
    assert out.count(told["reason"].splitlines()[0]) == 2, "in its log, and at the end"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Also where the tests run in the background, for whose children Ctrl-C is nothing."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
async def test_who_stops_following_leaves_the_build_running(person: Person) -> None:
    process = await person.start("build", "fox:v1")
    assert process.stderr is not None
    async with asyncio.timeout(30):
        first = (await process.stderr.readline()).decode()
        await asyncio.sleep(0.5)  # the first events are on their way
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
    [build] = (await person.json("builds", "list"))["items"]

    assert process.returncode == 130
    assert first == f"build {build['id']} of fox:v1\n"
    assert f"`yokocho builds cancel {build['id']}`" in told.decode()
    assert build["status"] == "queued"


async def test_builds_are_listed_shown_and_read(person: Person) -> None:
    told = await person.json("build", "fox:v1", "--detach", "--no-cache")
    assert told["status"] == "queued"
    await person.yard.ended(told["id"])

    assert [each["id"] for each in (await person.json("builds"))["items"]] == [told["id"]]
    assert (await person.json("builds", "list", "--status", "built"))["items"] == []
    status, out, _ = await person.says("builds")
    assert (status, out.split()[0], "failed" in out) == (0, "BUILD", True)
    shown = await person.says("builds", "show", "fox")
    assert "status    failed: " in shown[1]
    log = await person.says("builds", "logs", told["id"])
    assert log[1] == person.yard.log(told["id"])
    assert (await person.says("builds", "logs", "hen"))[0] == 1
    assert "0 removed, 0.0 MiB freed" in (await person.says("builds", "prune"))[1]
    assert (await person.json("builds", "prune"))["removed"] == []


async def test_an_option_before_the_word_prune_counts(person: Person, tmp_path: Path) -> None:
    status, _, told = await person.says("builds", "--home", str(tmp_path / "none"), "prune")

    assert status == 1
    assert "there is no platform" in told
    assert json.loads((await person.says("builds", "--json", "prune"))[1])["removed"] == []


@asynccontextmanager
async def cut_once(port: int) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A way to the builder that breaks after the first lines of a log; what was asked on it."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        forth.write(asked[-1])
        while line := await back.readline():
            writer.write(line)
            if len(asked) == 1 and line.startswith(b"event: log"):
                writer.write(await back.readline())
                writer.write(await back.readline())
                break
        writer.close()
        forth.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


async def test_a_lost_connection_costs_no_line_and_repeats_none(person: Person) -> None:
    build = await person.yard.order("fox:v1", Wish())
    await person.yard.ended(build)
    shown: list[str] = []
    async with cut_once(person.home.identity().port) as (port, asked), asyncio.timeout(20):
        api = Api(f"http://127.0.0.1:{port}", "token")
        told = await asyncio.to_thread(follow, api, f"/api/builds/{build}", shown.append)

    assert told["status"] == "failed"
    assert "\n".join(shown) + "\n" == person.yard.log(build)
    assert len(asked) == 2
    assert [b"last-event-id: 0\r\n" in each.lower() for each in asked] == [True, False]


async def test_a_build_that_is_cancelled_says_so_to_whoever_follows(person: Person) -> None:
    process = await person.start("build", "fox:v1")
    assert process.stderr is not None
    async with asyncio.timeout(30):
        await process.stderr.readline()
        told = await person.json("builds", "cancel", "fox:v1")
        out, _ = await process.communicate()

    assert told["status"] == "cancelled"
    assert (process.returncode, b"status    cancelled" in out) == (1, True)


async def test_names_of_secrets_reach_the_build(person: Person) -> None:
    await person.json("build", "fox:v1", "--detach", "--secret", "a", "--secret", "b")
    order = await person.yard.builds.start()
    assert order is not None
    assert order.wish.secrets == ("a", "b")
