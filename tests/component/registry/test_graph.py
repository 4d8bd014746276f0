"""What was made of what, both ways and any depth; and which bentos have a package."""

from uuid import UUID, uuid4

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from services.registry.service import Built
from tests.support.registry import BENTOS, Served, archive, create, create_model, send


async def graph(
    session: aiohttp.ClientSession, kind: str, name: str, **asked: str
) -> set[tuple[str, str]]:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    status, seen = await send(session, "GET", f"/api/registry/lineage/{kind}/{name}?{query}")
    assert status == 200, seen
    return {
        (
            f"{each['parent']['kind']}/{each['parent']['name']}",
            f"{each['child']['kind']}/{each['child']['name']}",
        )
        for each in seen["edges"]
    }


async def built(registry: Served, pool: Pool) -> UUID:
    """The revision that asked for the only bento's image."""
    bento_id: UUID = await pool.fetchval(
        "SELECT v.id FROM version v JOIN repository r ON r.id = v.repository_id "
        "WHERE r.kind = 'bento'"
    )
    revision = uuid4()
    image = Built("sha256:ab", revision)
    await registry.cases.registry.image_status(
        bento_id, "success", event_id=uuid4(), consumer="test", built=image
    )
    return revision


async def test_from_the_dataset_to_the_revision_and_back(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    await create_model(session, "base", metadata={"dataset": ["s3://a", "s3://b"]})
    told = {"parent_model": "iris:base", "run_id": 7, "git_commit": "abc", "accuracy": 0.9}
    await create_model(session, "tuned", metadata=told)
    await create(session, "v1", models=["iris:tuned"])
    revision = await built(registry, pool)
    up = {
        ("dataset/s3://a", "model/iris:base"),
        ("dataset/s3://b", "model/iris:base"),
        ("model/iris:base", "model/iris:tuned"),
        ("run/7", "model/iris:tuned"),
        ("commit/abc", "model/iris:tuned"),
        ("model/iris:tuned", "bento/iris:v1"),
        ("bento/iris:v1", "build/sha256:ab"),
        ("build/sha256:ab", f"revision/{revision}"),
    }
    assert await graph(session, "revision", str(revision)) == up
    down = await graph(session, "dataset", "s3://a", direction="down")
    assert down == {
        ("dataset/s3://a", "model/iris:base"),
        ("model/iris:base", "model/iris:tuned"),
        ("model/iris:tuned", "bento/iris:v1"),
        ("bento/iris:v1", "build/sha256:ab"),
        ("build/sha256:ab", f"revision/{revision}"),
    }
    assert await graph(session, "bento", "iris:v1", depth="1") == {
        ("model/iris:tuned", "bento/iris:v1")
    }
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as stranger:
        assert await graph(stranger, "bento", "iris:v1") == set()


async def test_a_circle_ends(session: aiohttp.ClientSession) -> None:
    await create_model(session, "a", metadata={"parent": "iris:b"})
    await create_model(session, "b", metadata={"parent": "iris:a"})
    assert await graph(session, "model", "iris:a") == {
        ("model/iris:b", "model/iris:a"),
        ("model/iris:a", "model/iris:b"),
    }


@pytest.mark.parametrize("query", ["direction=sideways", "depth=0", "depth=65", "depth=x"])
async def test_what_cannot_be_asked_is_refused(session: aiohttp.ClientSession, query: str) -> None:
    status, _ = await send(session, "GET", f"/api/registry/lineage/model/iris:a?{query}")
    assert status == 422


async def test_bentos_are_found_by_the_packages_of_their_locks(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    for version, lock in {"v1": "NumPy==1.26.4\nscipy==1.0\n", "v2": "numpy==2.1.0rc1\n"}.items():
        await create(session, version, image={"python_requirements": lock})
    await create(session, "v3")

    async def having(name: str, specifier: str = "") -> list[str]:
        path = f"/api/registry/packages/{name}?specifier={specifier}"
        status, seen = await send(session, "GET", path)
        assert status == 200, seen
        return [each["version"] for each in seen["items"]]

    assert await having("numpy") == ["v2", "v1"]
    assert await having("numpy", "<2") == ["v1"]
    assert await having("NumPy", ">=2.0") == ["v2"]
    assert await having("scipy") == ["v1"]
    assert await having("torch") == []
    assert (await send(session, "GET", "/api/registry/packages/numpy?specifier=x"))[0] == 422
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as stranger:
        _, seen = await send(stranger, "GET", "/api/registry/packages/numpy")
        assert seen == {"items": []}


async def test_locks_of_older_clients_are_read_from_their_archives(
    session: aiohttp.ClientSession,
) -> None:
    """Their manifests have none. What is asked for is only a specifier."""
    locked, asked = b"NumPy==1.26.4 \\\n    --hash=sha256:00\nscipy==1.0\n", b"numpy>=1\n"
    python = "./env/python/requirements"
    for version, more in {
        "v1": {f"{python}.txt": asked, f"{python}.lock.txt": locked},
        "v2": {f"{python}.txt": asked},
        "v3": {f"{python}.lock.txt": b"#" * (2**20 + 1)},
    }.items():
        await create(session, version)
        status, _ = await send(
            session, "PUT", f"{BENTOS}/{version}/upload", archive(version, more=more)
        )
        assert status == 200

    async def having(name: str) -> dict[str, str]:
        _, seen = await send(session, "GET", f"/api/registry/packages/{name}")
        return {each["version"]: each["package_version"] for each in seen["items"]}

    assert await having("numpy") == {"v1": "1.26.4", "v2": ">=1"}
    assert await having("scipy") == {"v1": "1.0"}
    status, _ = await send(session, "PATCH", f"{BENTOS}/v1", {"description": "x", "manifest": {}})
    assert status == 200
    assert await having("scipy") == {"v1": "1.0"}
