"""Where an organisation wants it, a bento that was pushed becomes an image: once, and whole."""

import json
from typing import Any

import pytest
from aiohttp import web
from uuid_utils.compat import uuid7

from libs.chassis.context import Cause, bound
from libs.chassis.http import build_app
from libs.chassis.postgres import Pool
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import BentoPurged, BentoPushed
from services.builder.consumers import BentosConsumer
from services.builder.domain import BuildView, Preferences
from services.builder.http import routes
from tests.support.based import on_base
from tests.support.builder import ORG, OTHER, PYTHON, Yard
from tests.support.envelopes import enveloped
from tests.support.serving import CALLER, always_ready, served

OWNER = CALLER.model_copy(update={"org_id": ORG, "org": "default"})


def pushed(digest: str) -> Envelope[BentoPushed]:
    bento = BentoPushed(
        bento_id=uuid7(), repository="fox", version="v1", digest=digest, size_bytes=1
    )
    return enveloped(bento, "registry", org=ORG, actor="user:1")


def purged(digest: str) -> Envelope[BentoPurged]:
    bento = BentoPurged(
        bento_id=uuid7(), repository="fox", version="v1", digest=digest, size_bytes=1
    )
    return enveloped(bento, "registry", org=ORG, actor="user:1")


async def hear(yard: Yard, said: Envelope[Any]) -> list[BuildView]:
    """All builds, after that was said twice."""
    consumer = BentosConsumer(yard.shop.pushes, consumer="builder-bentos-v1")
    with bound(Cause("service:registry", ORG, "c1")):
        for _ in range(2):
            await consumer(said, b"")
    return [*await yard.builds.newest(ORG, count=10)]


async def test_a_push_builds_nothing_unless_somebody_wants_it(yard: Yard) -> None:
    assert await hear(yard, pushed("sha256:" + "0" * 64)) == []

    await yard.shop.pushes.want(
        OWNER.model_copy(update={"org_id": OTHER}), Preferences(build_on_push=True)
    )
    assert await hear(yard, pushed("sha256:" + "0" * 64)) == []


@pytest.mark.skipif(PYTHON != "3.11", reason="the base image has Python 3.11")
async def test_a_push_that_is_heard_twice_is_built_once_when_its_model_is_there(
    yard: Yard, pool: Pool
) -> None:
    await on_base(yard)
    await yard.shop.pushes.want(OWNER, Preferences(build_on_push=True))
    [build] = await hear(yard, pushed(await yard.push("fox:v1", models=["iris:1"])))
    assert await yard.worker.turn()
    waits = await yard.builds.one(ORG, build.id)
    assert (waits.status, waits.attempts) == ("queued", 1), yard.log(build.id)
    assert waits.due_at is not None
    assert "bento-incomplete" in yard.log(build.id)
    assert "iris:1" in yard.log(build.id)

    await yard.push_model("iris:1")
    view = await yard.ended(build.id)

    assert (view.status, view.kind, view.revision_id) == ("built", "oci", None), yard.log(build.id)
    models = await pool.fetchval("SELECT models ->> 0 FROM build")
    assert "iris" in models
    body = await pool.fetchval("SELECT body FROM outbox ORDER BY id DESC LIMIT 1")
    said = json.loads(body)["data"]
    assert (said["strategy"], said["plan_digest"]) == ("assemble", view.plan_digest)
    assert [each["name"] for each in said["steps"]] == [each.name for each in view.steps]
    assert (said["layers_pushed"], said["layers_reused"]) == (4, 0)


async def test_what_was_replaced_before_it_was_built_fails(yard: Yard) -> None:
    await yard.shop.pushes.want(OWNER, Preferences(build_on_push=True))
    await yard.push("fox:v1")
    [build] = await hear(yard, pushed("sha256:" + "0" * 64))

    view = await yard.ended(build.id)

    assert (view.status, view.code) == ("failed", "bento-replaced")


async def as_owner(_: web.Request) -> Principal:
    return OWNER


async def test_the_setting_is_written_read_and_checked_over_http(yard: Yard) -> None:
    app = build_app(
        routes(yard.shop),
        service="builder",
        authenticate=as_owner,
        ready=always_ready,
    )
    async with served(app) as url:
        at = f"{url}/api/builds/settings"
        for body, status in (
            ({"build_on_push": True}, 200),
            ({"build_on_push": 1}, 422),
            ({}, 422),
        ):
            async with yard.session.put(at, json=body) as answer:
                assert answer.status == status, await answer.text()
        async with yard.session.get(at) as answer:
            assert await answer.json() == {"build_on_push": True}


async def test_builds_are_listed_by_status_and_bento_and_cancelled_over_http(yard: Yard) -> None:
    build = await yard.request("sha256:" + "0" * 64)
    app = build_app(
        routes(yard.shop),
        service="builder",
        authenticate=as_owner,
        ready=always_ready,
    )
    async with served(app) as url:

        async def listed(query: str) -> list[str]:
            async with yard.session.get(f"{url}/api/builds?{query}") as answer:
                assert answer.status == 200, await answer.text()
                return [each["id"] for each in (await answer.json())["items"]]

        for query in ("", "status=queued", "bento=fox", "bento=fox:v1", "kind=environment"):
            assert await listed(query) == [str(build)], query
        for query in ("status=built", "bento=owl", "bento=fox:v2", "kind=oci"):
            assert await listed(query) == [], query
        for _ in range(2):
            async with yard.session.post(f"{url}/api/builds/{build}/cancel") as answer:
                assert (await answer.json())["status"] == "cancelled"
        async with yard.session.get(f"{url}/api/builds?status=lost") as answer:
            assert answer.status == 422


async def test_the_lock_of_a_bento_that_is_gone_goes_with_it(yard: Yard, pool: Pool) -> None:
    gone, kept = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    for org, digest in ((ORG, gone), (ORG, kept), (OTHER, gone)):
        await pool.execute(
            "INSERT INTO requirements_lock VALUES ($1, $2, '3.11', 'p', 'sauce==1')", org, digest
        )
    assert await hear(yard, purged(gone)) == []
    rows = await pool.fetch("SELECT org_id, bento_digest FROM requirements_lock")
    assert {tuple(each) for each in rows} == {(ORG, kept), (OTHER, gone)}
