"""Secrets that builds are given: who gets which, what depends on them, and where they are not."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.chassis.postgres import Pool
from services.builder.domain import BuildView, Wish
from services.builder.errors import VerificationRefusedError
from services.deployer.domain.secret import Stage
from tests.support import postgres
from tests.support.based import on_base
from tests.support.builder import CALLER, Yard, building
from tests.support.builder_api import answering
from tests.support.postgres import PostgresServer
from tests.support.private_index import PrivateIndex, private_index
from tests.support.safe import Safe, safe
from tests.support.tiny import stand_in_wheel
from tests.support.traces import dumped, files_with, traces

REQUIREMENT = "bentoml==1.4.0"
USER = "ada-of-the-packages"
PASSWORD = "to&ourselves/42+x"
IMAGE = {"python_version": "3.11"}


@pytest.fixture
async def kept(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Safe]:
    async with (
        postgres_server.database("deployer") as url,
        postgres.pool_of(url) as pool,
        safe(pool, tmp_path) as kept,
    ):
        yield kept


@pytest.fixture
async def yard(pool: Pool, shelves: Pool, tmp_path: Path, kept: Safe) -> AsyncIterator[Yard]:
    async with building(pool, shelves, tmp_path, secrets_url=kept.url) as yard:
        yield yard


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PrivateIndex]:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "bentoml-1.4.0-py3-none-any.whl").write_bytes(stand_in_wheel())
    with private_index(shelf, user=USER, password=PASSWORD) as index:
        yield index


async def build(yard: Yard, *secrets: str) -> BuildView:
    return await yard.ended(await yard.order("fox:v1", Wish(secrets=secrets)))


async def nowhere(value: str, yard: Yard, pool: Pool) -> None:
    assert not traces(value, await dumped(pool))
    assert not files_with(value, yard.folders.root, yard.folder / "blobs")


async def test_a_private_index_is_resolved_and_installed_from(
    yard: Yard, kept: Safe, index: PrivateIndex, pool: Pool
) -> None:
    await on_base(yard)
    await yard.push("fox:v1", REQUIREMENT, image=IMAGE)
    await kept.keep("index", UV_INDEX_URL=index.address, TOKEN="not-for-uv-at-all")
    built = await build(yard, "index")
    assert (built.status, built.strategy) == ("built", "assemble"), built.reason
    assert index.taken
    said = yard.log(built.id)
    assert "given in secret: UV_DEFAULT_INDEX" in said
    assert not traces("not-for-uv-at-all", said.encode())
    assert await yard.shop.attesting.turn()
    with pytest.raises(VerificationRefusedError, match="its build used secrets"):
        await yard.shop.verifying.rebuild(CALLER, str(built.image_digest))
    await nowhere(PASSWORD, yard, pool)


@pytest.mark.parametrize("password", ["", "another/word+1"])
async def test_without_its_password_uv_says_why_and_shows_none(
    yard: Yard, kept: Safe, index: PrivateIndex, *, password: str, pool: Pool
) -> None:
    await on_base(yard)
    await yard.push("fox:v1", REQUIREMENT, image=IMAGE)
    wrong = replace(index, password=password)
    await kept.keep("index", UV_INDEX_URL=wrong.address if password else index.url)
    built = await build(yard, "index")
    assert (built.status, built.code) == ("failed", "requirements-unresolvable")
    assert "401 Unauthorized" in str(built.reason)
    assert index.asked == []
    if password:
        await nowhere(password, yard, pool)


async def test_a_name_and_a_password_open_an_index_that_has_a_name(
    yard: Yard, kept: Safe, index: PrivateIndex, pool: Pool
) -> None:
    digest = await yard.push("fox:v1", REQUIREMENT)
    opens = {"UV_INDEX_CORP_USERNAME": USER, "UV_INDEX_CORP_PASSWORD": PASSWORD}
    await kept.keep("index", Stage.ALL, UV_INDEX=f"corp={index.url}", **opens)
    built = await yard.ended(await yard.request(digest, secrets=["index"]))
    assert (built.status, built.strategy) == ("built", "environment"), built.reason
    await nowhere(PASSWORD, yard, pool)
    assert not files_with(PASSWORD, Path(str(built.uri).removeprefix("file://")))


async def test_what_was_fetched_with_a_secret_is_not_found_without_it(
    yard: Yard, kept: Safe, index: PrivateIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybodys = yard.folder / "everybodys-cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(everybodys))
    digest = await yard.push("fox:v1", REQUIREMENT)
    await kept.keep("opened", UV_INDEX_URL=index.address)
    await kept.keep("closed", UV_INDEX_URL=index.url)
    first = await yard.ended(await yard.request(digest, secrets=["opened"]))
    assert first.status == "built", first.reason
    assert not [*everybodys.rglob("*bentoml*")]
    other = await yard.ended(await yard.request(digest, secrets=["closed"]))
    assert (other.status, other.code) == ("failed", "requirements-not-installable"), other.reason


async def test_a_changed_secret_builds_anew_and_the_same_does_not(
    yard: Yard, kept: Safe, index: PrivateIndex
) -> None:
    await on_base(yard)
    await yard.push("fox:v1", REQUIREMENT, image=IMAGE)
    await kept.keep("index", UV_INDEX_URL=index.address)
    first, second = await build(yard, "index"), await build(yard, "index")
    assert (second.reused, second.plan_digest) == (True, first.plan_digest), second.reason
    await kept.keep("index", UV_INDEX_URL=index.address, UV_EXTRA_INDEX_URL=index.address)
    third = await build(yard, "index")
    assert (third.reused, third.image_digest) == (False, first.image_digest)
    assert third.plan_digest != first.plan_digest


@pytest.mark.parametrize(("name", "words"), [("nothing", "no secret"), ("running", "of stage run")])
async def test_a_secret_that_is_not_there_for_builds_fails_them_by_name(
    yard: Yard, kept: Safe, *, name: str, words: str
) -> None:
    await on_base(yard)
    await yard.push("fox:v1", image=IMAGE)
    await kept.keep("running", Stage.RUNTIME, TOKEN="abcd")
    built = await build(yard, name)
    assert (built.status, built.code) == ("failed", "secret-absent"), built.reason
    assert name in str(built.reason)
    assert words in str(built.reason)


async def test_a_variable_that_only_commands_could_read_is_left_out_in_words(yard: Yard) -> None:
    await on_base(yard)
    envs = [{"name": "HUB_TOKEN", "stage": "build", "value": ""}]
    await yard.push("fox:v1", image=IMAGE, envs=envs)
    built = await build(yard)
    assert built.status == "built", built.reason
    assert "left out, as nothing that could read it is run: HUB_TOKEN" in yard.log(built.id)


async def test_an_index_that_the_bento_leaves_open_has_to_be_given(yard: Yard) -> None:
    await on_base(yard)
    envs = [{"name": "UV_INDEX_URL", "stage": "build", "value": ""}]
    await yard.push("fox:v1", image=IMAGE, envs=envs)
    built = await build(yard)
    assert (built.status, built.code) == ("failed", "variable-absent")
    assert "UV_INDEX_URL" in str(built.reason)


@pytest.mark.parametrize(
    ("secrets", "status"), [(["index"], 202), (["../x"], 422), ([""], 422), (["a"] * 33, 422)]
)
async def test_a_build_is_asked_for_with_names_of_secrets(
    yard: Yard, *, secrets: list[str], status: int
) -> None:
    await yard.push("fox:v1", image=IMAGE)
    async with answering(yard) as url:
        body = {"bento": "fox:v1", "secrets": secrets}
        async with yard.session.post(f"{url}/api/builds", json=body) as answer:
            assert answer.status == status, await answer.text()
