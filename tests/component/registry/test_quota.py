"""What an organisation may store: refused before a byte is read, counted as it is."""

import asyncio
from uuid import UUID

import aiohttp

from libs.chassis.postgres import Pool
from tests.support.loops import eventually, running
from tests.support.registry import (
    BENTOS,
    ORG,
    Served,
    archive,
    create,
    create_model,
    held,
    pieces,
    send,
    usage,
)


async def limit(pool: Pool, maximum: int, *, org_id: UUID = ORG) -> None:
    await pool.execute("INSERT INTO limits VALUES ($1, 'stored_bytes', $2)", org_id, maximum)


async def test_without_a_limit_everything_is_counted_and_nothing_refused(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    for version in ("v1", "v2"):
        await create(session, version)
        assert (await send(session, "PUT", f"{BENTOS}/{version}/upload", archive(version)))[
            0
        ] == 200

    assert await usage(pool) == (0, len(archive("v1")) + len(archive("v2")))


async def test_a_push_over_the_limit_is_refused_before_its_bytes_are_read(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    sent = archive("v1")
    await limit(pool, len(sent) - 1)
    await create(session, "v1")
    asked: list[int] = []

    async with session.put(
        f"{BENTOS}/v1/upload",
        data=pieces(sent, taken=asked),
        headers={"Content-Length": str(len(sent)), "Expect": "100-continue"},
    ) as answer:
        problem = await answer.json(content_type=None)

    assert answer.status == 507
    assert problem["type"] == "/problems/quota-exceeded"
    assert (problem["needed"], problem["used"], problem["maximum"]) == (len(sent), 0, len(sent) - 1)
    assert str(len(sent) - 1) in problem["error"]
    assert asked == []
    assert await usage(pool) == (0, 0)
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    assert seen["upload_status"] == "failed"
    assert "no room" in seen["upload_finished_reason"]
    assert registry.staged == []


async def test_what_fills_the_limit_exactly_fits(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await limit(pool, len(archive("v1")))
    await create(session, "v1")

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1")))[0] == 200


async def test_a_model_is_refused_by_the_size_it_announces(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await limit(pool, 1000)
    path = await create_model(session, "m1", size_bytes=1001)

    status, problem = await send(session, "PATCH", f"{path}/start_upload", b"")

    assert (status, problem["type"]) == (507, "/problems/quota-exceeded")
    assert await usage(pool) == (0, 0)


async def test_the_size_that_was_announced_gives_way_to_that_of_the_body(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    path = await create_model(session, "m1", size_bytes=10**9)
    sent = archive("m1", name="model.yaml")

    await send(session, "PATCH", f"{path}/start_upload", b"")
    announced = await usage(pool)
    await send(session, "PUT", f"{path}/upload", sent)

    assert announced == (10**9, 0)
    assert await usage(pool) == (0, len(sent))


async def test_a_client_that_gives_up_releases_what_it_announced(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    path = await create_model(session, "m1", size_bytes=500)
    await send(session, "PATCH", f"{path}/start_upload", b"")

    status, seen = await send(
        session, "PATCH", f"{path}/finish_upload", {"status": "failed", "reason": "disk"}
    )

    assert (status, seen["upload_status"]) == (200, "failed")
    assert await usage(pool) == (0, 0)


async def test_a_refused_archive_releases_what_it_reserved(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await create(session, "v1")

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v2")))[0] == 422

    assert await usage(pool) == (0, 0)


async def test_a_version_pushed_again_counts_once_it_is_there_its_new_bytes_alone(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await create(session, "v1")
    sizes = []
    for payload in (b"x" * 50_000, b"y", b"y"):
        sent = archive("v1", payload=payload)
        assert (await send(session, "PUT", f"{BENTOS}/v1/upload", sent))[0] == 200
        sizes.append((len(sent), await usage(pool)))

    assert [used for _, used in sizes] == [(0, size) for size, _ in sizes]


async def test_a_version_whose_new_push_failed_still_counts_its_old_bytes(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await create(session, "v1")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))

    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v2"))

    assert await usage(pool) == (0, len(archive("v1")))


async def test_a_new_push_without_room_leaves_the_version_as_it_is(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await limit(pool, len(archive("v1")))
    await create(session, "v1")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1")))[0] == 507

    assert await send(session, "GET", f"{BENTOS}/v1/download") == (200, archive("v1"))
    assert await usage(pool) == (0, len(archive("v1")))


async def test_bytes_that_nobody_announced_are_refused_as_they_exceed_the_limit(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    sent = archive("v1")
    await limit(pool, len(sent) - 1)
    await create(session, "v1")

    async with session.put(f"{BENTOS}/v1/upload", data=pieces(sent)) as answer:
        assert answer.status == 507

    assert await usage(pool) == (0, 0)
    assert registry.staged == []
    await pool.execute("UPDATE limits SET maximum = maximum + 1")
    async with session.put(f"{BENTOS}/v1/upload", data=pieces(sent)) as answer:
        assert answer.status == 200
    assert await usage(pool) == (0, len(sent))


async def test_a_limit_is_of_one_organisation(session: aiohttp.ClientSession, pool: Pool) -> None:
    await limit(pool, 0, org_id=UUID(int=2))
    await create(session, "v1")

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1")))[0] == 200


async def test_twenty_pushes_at_once_never_exceed_the_limit(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    """Some of them send another version's archive; the counts are the truth at the end."""
    fitting = 7
    size = len(archive("v10"))
    await limit(pool, fitting * size + size // 2)
    versions = [f"v{number}" for number in range(10, 30)]
    for version in versions:
        await create(session, version)
    seen: list[int] = []

    async def push(version: str) -> int:
        said = archive("v99" if version.endswith("5") else version)
        async with session.put(
            f"{BENTOS}/{version}/upload",
            data=pieces(said, pause=0.02),
            headers={"Content-Length": str(len(said))},
        ) as answer:
            return answer.status

    async def watch() -> None:
        while True:
            seen.append(sum(await usage(pool)))

    async with running(watch):
        statuses = await asyncio.gather(*map(push, versions))

    stored = statuses.count(200)
    assert set(statuses) <= {200, 422, 507}
    assert 507 in statuses
    assert fitting - 2 <= stored <= fitting
    assert max(seen) <= fitting * size
    assert await usage(pool) == (0, stored * size)


async def test_the_newer_of_two_uploads_of_a_version_wins(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    """The older one is told so, and neither its end nor its client's changes the version."""
    await create(session, "v1")
    go_on = asyncio.Event()
    older = archive("v1", payload=b"older")
    newer = archive("v1", payload=b"newer")
    first = asyncio.create_task(send(session, "PUT", f"{BENTOS}/v1/upload", held(older, go_on)))
    await eventually(lambda: len(registry.staged) == 1)

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", newer))[0] == 200
    go_on.set()

    status, problem = await first
    assert (status, problem["type"]) == (409, "/problems/upload-lost")
    await send(session, "PATCH", f"{BENTOS}/v1/finish_upload", {"status": "failed"})
    assert await send(session, "GET", f"{BENTOS}/v1/download") == (200, newer)
    assert await usage(pool) == (0, len(newer))
