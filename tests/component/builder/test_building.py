"""Bentos from the real registry become images by the real uv: whole, once, or with a reason."""

import asyncio
import io
import tarfile
from pathlib import Path

import pytest
from aiohttp import web

from libs.chassis.http import build_app
from libs.chassis.postgres import Pool
from libs.contracts.deployer import PinnedModel
from libs.contracts.identity import Principal
from services.builder.archive import unpack
from services.builder.errors import BuildFailedError
from services.builder.http import routes
from tests.support.builder import ORG, OTHER, PYTHON, Yard, building
from tests.support.loops import eventually, running
from tests.support.packages import offered, source_archive
from tests.support.serving import CALLER, always_ready, served

pytestmark = pytest.mark.long


async def test_bento_models_and_environment_lie_together_for_reading_only(yard: Yard) -> None:
    model = PinnedModel(repository="iris", version="1", digest=await yard.push_model("iris:1"))
    build = await yard.request(await yard.push("fox:v1"), model)

    done = await yard.ended(build)

    assert done.status == "built", yard.log(build)
    image = yard.folders.image(done.image_digest or "")
    assert (image / "bento/src/service.py").read_text() == "# fox:v1"
    assert (image / "bento/models/iris/1/weights").read_text() == "iris:1"
    assert (image / "bento/models/iris/latest").read_text() == "1"
    assert (image / "environment/bin/python").exists()
    inside = [*(image / "bento").rglob("*"), *(image / "environment/lib").rglob("*")]
    writable = [path for path in inside if not path.is_symlink() and path.stat().st_mode & 0o222]
    assert writable == []
    hidden = [path for path in inside if not path.stat().st_mode & 0o004]
    assert hidden == []  # what runs may be another user than who builds


async def test_the_same_inputs_are_the_same_image_at_once(yard: Yard) -> None:
    digest = await yard.push("fox:v1")
    first = await yard.ended(await yard.request(digest))
    again = await yard.request(digest)

    second = await yard.ended(again)

    assert (second.image_digest, second.uri, second.reused) == (
        first.image_digest,
        first.uri,
        True,
    )
    assert " pip " not in yard.log(again), "nothing was resolved or installed"


async def test_an_environment_is_shared_by_all_bentos_with_the_same_lock(yard: Yard) -> None:
    builds = [
        await yard.request(await yard.push("fox:v1")),
        await yard.request(await yard.push("owl:v1")),
        await yard.request(await yard.push("fox:v1", org=OTHER), org=OTHER),
    ]
    for build, org in zip(builds, (None, None, OTHER), strict=True):
        done = await (yard.ended(build, org=org) if org else yard.ended(build))
        assert done.status == "built", yard.log(build)

    assert len(list((yard.folders.root / "environments").iterdir())) == 1
    assert sum(" pip sync " in yard.log(build) for build in builds) == 1


async def test_what_is_built_from_source_belongs_to_one_organisation(yard: Yard) -> None:
    source = offered("thing-1.0.tar.gz", source_archive())
    mine = await yard.request(await yard.push("fox:v1", f"thing @ {source}", yard.wheel))
    theirs = await yard.request(
        await yard.push("fox:v1", f"thing @ {source}", yard.wheel, org=OTHER), org=OTHER
    )

    done = [await yard.ended(mine), await yard.ended(theirs, org=OTHER)]

    assert [each.status for each in done] == ["built", "built"], yard.log(mine)
    assert done[0].image_digest != done[1].image_digest
    assert len(list((yard.folders.root / "environments").iterdir())) == 2
    assert "not shared with other organisations" in yard.log(mine)


async def test_an_interrupted_build_leaves_no_half_environment_and_starts_over(
    yard: Yard,
) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    async with running(yard.worker.run):
        await eventually(lambda: " venv " in yard.log(build))
    environments = yard.folders.root / "environments"
    assert not [each for each in environments.iterdir() if (each / ".complete").exists()]

    done = await yard.ended(build)

    assert done.status == "built", yard.log(build)
    assert not done.reused
    assert list((yard.folders.root / "work").iterdir()) == []


async def test_a_registry_that_is_away_holds_up_only_what_it_has(yard: Yard) -> None:
    missing, there = await yard.push("fox:v1"), await yard.push("owl:v1")
    yard.away.add(missing)
    waits, goes = await yard.request(missing), await yard.request(there)

    assert (await yard.ended(goes)).status == "built"
    assert (await yard.builds.newest(ORG, count=2))[1].status == "queued"
    assert "is away for a moment" in yard.log(waits)
    yard.away.clear()
    assert (await yard.ended(waits)).status == "built"


@pytest.mark.parametrize(
    ("image", "requirements", "code", "words"),
    [
        pytest.param({"python_version": "3.4"}, (), "python-version-absent", PYTHON, id="python"),
        pytest.param(
            {"commands": ["apt-get install -y ffmpeg"]}, (), "image-needs-commands", "ffmpeg",
            id="command",
        ),
        pytest.param(
            {}, ("WHEEL", "bentoml==9"), "requirements-unresolvable", "bentoml==9", id="conflict"
        ),
        pytest.param(
            {}, ("x @ file:///nowhere/x-1.0-py3-none-any.whl",), "requirements-refused",
            "nowhere", id="missing",
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_built_fails_at_once_and_says_why(
    yard: Yard, image: dict[str, object], requirements: tuple[str, ...], code: str, words: str
) -> None:
    asked = [yard.wheel if each == "WHEEL" else each for each in requirements]
    build = await yard.request(await yard.push("fox:v1", *asked, image=image))

    done = await yard.ended(build)

    assert (done.status, done.code) == ("failed", code)
    assert words in (done.reason or "")
    assert words in yard.log(build)


async def test_an_index_that_does_not_answer_is_asked_again(
    pool: Pool, shelves: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    nowhere = "http://127.0.0.1:9/simple"
    async with building(pool, shelves, tmp_path, index_url=nowhere) as yard:
        build = await yard.request(await yard.push("fox:v1", "attrs"))

        assert await yard.worker.turn()

        assert (await yard.builds.one(ORG, build)).status == "queued"
        assert "index-unreachable" in yard.log(build)
        assert "again in 1 s" in yard.log(build)


async def as_owner(_: web.Request) -> Principal:
    return CALLER.model_copy(update={"org_id": ORG})


async def test_a_log_is_followed_while_the_build_runs(yard: Yard) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    app = build_app(
        routes(yard.shop),
        service="builder",
        authenticate=as_owner,
        ready=always_ready,
    )
    async with (
        served(app) as url,
        yard.session.get(f"{url}/api/builds/{build}/log?follow=true") as answer,
        asyncio.timeout(30),
    ):
        assert answer.status == 200, await answer.text()
        async with running(yard.worker.run):
            assert await answer.content.readline() == b"--- resolve\n"
            assert b"fetching" in await answer.content.readline()
            assert b"is complete" in await answer.content.read()


@pytest.mark.parametrize("trick", ["through-a-link", "over-a-link", "outside", "compressed"])
def test_an_archive_writes_nowhere_else(tmp_path: Path, trick: str) -> None:
    file = tmp_path / "archive.tar"
    with tarfile.open(file, "w:gz" if trick == "compressed" else "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "."
        if "link" in trick:
            tar.addfile(link)
        name = {"through-a-link": "link/x", "over-a-link": "link", "outside": "../x"}
        entry = tarfile.TarInfo(name.get(trick, "x"))
        tar.addfile(entry, io.BytesIO())

    with pytest.raises(BuildFailedError):
        unpack(file, tmp_path / "into")

    assert not (tmp_path / "x").exists()
