"""Layers that one builder made are found by another, whose disk is empty, through the registry."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.builder.errors import BuildFailedError
from services.builder.oci import AnonymousAccess, Remote
from tests.support.buildah import Bench, Image, started
from tests.support.oci_faults import Handler, bad_registry
from tests.support.postgres import PostgresServer, pool_of
from tests.support.registry import served

CACHE = "cache/buildah"
RANDOM = "RUN head -c 16 /dev/urandom > /random"
"""Made twice it is not the same."""


@dataclass
class Registry:
    remote: Remote
    session: aiohttp.ClientSession
    url: str

    async def tags(self) -> list[str]:
        async with self.session.get(f"{self.url}/v2/{CACHE}/tags/list") as answer:
            found = await answer.json() if answer.status == 200 else {"tags": []}
        return [str(tag) for tag in found["tags"]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def registry(
    postgres_server: PostgresServer, tmp_path: Path, session: aiohttp.ClientSession
) -> AsyncIterator[Registry]:
    async with (
        postgres_server.database("registry") as url,
        pool_of(url) as pool,
        served(pool, tmp_path / "blobs") as running,
    ):
        yield Registry(Remote(session, running.url, access=AnonymousAccess()), session, running.url)


async def elsewhere(bench: Bench, commands: str, name: str, **more: Any) -> Image:
    """What a builder makes that has never built anything."""
    folder = bench.folder / name
    folder.mkdir()
    async with started(folder / "root") as buildah:
        other = Bench(buildah, folder, bench.base, bench.lines)
        return await other.build(other.recipe(commands, files={"app": "1"}, **more))


async def test_another_builder_finds_the_layers(bench: Bench, registry: Registry) -> None:
    commands = f"{RANDOM}\nENV A=1\nARG X=1\nCOPY app /app\nARG Y=2\nRUN echo $X >> /random"
    labels = {"a.b": "c"}
    first = await elsewhere(
        bench, commands, "first", cache=registry.remote.door(CACHE), labels=labels
    )
    bench.lines.clear()
    second = await elsewhere(
        bench, commands, "second", cache=registry.remote.door(CACHE), labels=labels
    )
    assert bench.said.count("Cache pulled from remote") == 5
    assert second.digest == first.digest


async def test_what_secrets_helped_to_make_is_not_shared(bench: Bench, registry: Registry) -> None:
    door = registry.remote.door(CACHE)
    await bench.build(bench.recipe(RANDOM, secrets={"token": "hunter2"}, cache=door))
    assert door.host == ""
    assert await registry.tags() == []


async def test_a_fresh_build_finds_nothing_anywhere(bench: Bench, registry: Registry) -> None:
    first = await bench.build(bench.recipe(RANDOM, cache=registry.remote.door(CACHE)))
    second = await bench.build(bench.recipe(RANDOM, cache=registry.remote.door(CACHE), fresh=True))
    assert "Using cache" not in bench.said.rpartition("STEP 1/")[2]
    assert second.digest != first.digest


async def test_commands_cannot_read_its_password(
    bench: Bench, registry: Registry, storage: Path
) -> None:
    door = registry.remote.door(CACHE)
    look = f"cat /mnt/builds/*/secrets/* {storage}/builds/*/secrets/*; env; cat /proc/*/environ"
    looking = asyncio.create_task(
        bench.build(bench.recipe(f"RUN {look}; echo; echo looked; sleep 1", cache=door))
    )
    seen = b""
    while not looking.done():
        if "looked" in bench.lines:
            seen += b"".join(each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline"))
        await asyncio.sleep(0.1)
    await looking
    shown = door.authorization.removeprefix("Basic ")
    assert f"{door.host}".encode() in seen
    assert shown.encode() not in seen
    assert shown not in bench.said


async def _refuses_manifests(request: web.Request) -> web.Response | None:
    return web.Response(status=503) if "/manifests/" in request.path else None


async def _breaks_off(request: web.Request) -> web.Response | None:
    if request.method == "PATCH" and request.transport is not None:
        await request.content.read(1000)
        request.transport.close()
    return None


@pytest.mark.parametrize("fault", [_refuses_manifests, _breaks_off])
async def test_a_registry_that_goes_away_costs_a_build_nothing_but_time(
    bench: Bench, session: aiohttp.ClientSession, fault: Handler
) -> None:
    async with bad_registry() as bad:
        bad.always = fault
        remote = Remote(session, bad.url, access=AnonymousAccess())
        said = f"RUN echo so it is > /{fault.__name__}"
        image = await bench.build(bench.recipe(said, cache=remote.door(CACHE)))
    assert len(image.manifest["layers"]) == 2
    assert bench.said.count("not shared through the registry") == 1


async def test_an_image_is_the_same_with_the_cache_and_without(
    bench: Bench, registry: Registry
) -> None:
    commands = "ARG X=1\nENV A=$X\nRUN echo $X > /x\nARG Y=2\nCOPY app /app\nRUN echo $Y > /y"
    door = registry.remote.door(CACHE)
    shared = await elsewhere(bench, commands, "shared", cache=door)
    alone = await bench.build(bench.recipe(commands, files={"app": "1"}))
    assert shared.digest == alone.digest


async def test_the_door_closes_with_its_build(bench: Bench, registry: Registry) -> None:
    door = registry.remote.door(CACHE)
    building = asyncio.create_task(
        bench.build(bench.recipe("RUN echo begun; sleep 60", cache=door))
    )
    async with asyncio.timeout(30):
        while "begun" not in bench.lines:
            assert not building.done(), building
            await asyncio.sleep(0.02)
    async with registry.session.get(f"http://{door.host}/v2/") as answer:
        assert answer.status == 401
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    with pytest.raises(aiohttp.ClientConnectionError):
        await registry.session.get(f"http://{door.host}/v2/")


async def test_a_command_that_fails_is_not_tried_without_the_cache(
    bench: Bench, registry: Registry
) -> None:
    recipe = bench.recipe("RUN echo tried; exit 3", cache=registry.remote.door(CACHE))
    with pytest.raises(BuildFailedError, match="tried"):
        await bench.build(recipe)
    assert bench.lines.count("tried") == 1
