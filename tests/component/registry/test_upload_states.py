"""Whatever clients do, in whatever order: a version is its whole bytes or it is none."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from hypothesis import strategies as st

from libs.chassis.auth import generate_keys
from libs.chassis.postgres import Pool
from libs.chassis.signedurls import UrlSigner
from services.registry.controller import verify_sent
from services.registry.http import Urls
from tests.support.loops import running
from tests.support.programs import Step, hold_for_all, programs_of
from tests.support.pusher import MODELS, Client
from tests.support.registry import Served, send, served, usage
from tests.support.uploading import ANOTHERS, LARGE, NOISE, TRUNCATED, Model, whole

VERSIONS: Final = ("v1", "v2")

_version = st.sampled_from(["v1", "v1", "v1", "v2"])
_content = st.sampled_from(
    [whole("a"), whole("b"), whole(LARGE), whole(ANOTHERS), TRUNCATED, NOISE]
)
_kind = st.sampled_from(["a", "a", "b", ANOTHERS])
_back = st.integers(0, 2)
_named = st.sampled_from(
    ["right", "right", "without the last", "another ETag", "one that never came"]
)


def _step(verb: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(*arguments).map(lambda chosen: Step(verb, chosen))


_STEPS: Final = st.one_of(
    *(
        _step(verb, _version)
        for verb in (
            *("create", "start", "break_off", "presign", "begin_parts"),
            *("delete", "undelete", "push_elsewhere"),
        )
    ),
    _step("put", _version, _content),
    _step("send_whole", _back, _content),
    _step("send_part", _back, st.integers(1, 3), _kind),
    _step("name_parts", _back, _named),
    _step("finish", _version, st.sampled_from(["success", "success", "failed"])),
    _step("empty_trash"),
)
_PUSH: Final = _version.map(
    lambda version: [Step("create", (version,)), Step("put", (version, whole("a")))]
)
_SIGNED: Final = st.builds(
    lambda version, content: [
        Step("create", (version,)),
        Step("presign", (version,)),
        Step("start", (version,)),
        Step("send_whole", (0, content)),
        Step("finish", (version, "success")),
    ],
    _version,
    _content,
)
_PARTS: Final = st.builds(
    lambda version, numbers, named: [
        Step("create", (version,)),
        Step("start", (version,)),
        Step("begin_parts", (version,)),
        *(Step("send_part", (0, number, "a")) for number in numbers),
        Step("name_parts", (0, named)),
        Step("finish", (version, "success")),
    ],
    _version,
    st.permutations([1, 2, 3]),
    _named,
)
PROGRAMS: Final = programs_of(Step("create", ("v1",)), _STEPS, _PUSH, _SIGNED, _PARTS)


def _parts(*kinds: str) -> list[Step]:
    return [Step("send_part", (0, number, kind)) for number, kind in enumerate(kinds, start=1)]


CREATE: Final = Step("create", ("v1",))
PUT: Final = Step("put", ("v1", whole("a")))
PRESIGN: Final = Step("presign", ("v1",))
BEGIN: Final = Step("begin_parts", ("v1",))
DELETE: Final = Step("delete", ("v1",))
UNDELETE: Final = Step("undelete", ("v1",))
NAME: Final = Step("name_parts", (0, "right"))
FINISH: Final = Step("finish", ("v1", "success"))
ALWAYS: Final = [
    [CREATE, PUT, Step("start", ("v1",)), BEGIN, *_parts("a", "b", "a"), NAME, FINISH],
    [CREATE, PUT, DELETE, CREATE, PUT, UNDELETE, Step("empty_trash"), UNDELETE],
    [
        CREATE,
        BEGIN,
        *_parts("a"),
        DELETE,
        *_parts("a"),
        UNDELETE,
        *_parts("b", "b", "b"),
        NAME,
        FINISH,
    ],
    [CREATE, PUT, Step("break_off", ("v1",)), Step("start", ("v1",)), DELETE, UNDELETE, PUT],
    [
        CREATE,
        PRESIGN,
        Step("send_whole", (0, TRUNCATED)),
        FINISH,
        PUT,
        Step("finish", ("v1", "failed")),
    ],
    [CREATE, PRESIGN, DELETE, Step("send_whole", (0, whole("a")))],
]
"""Where chance seldom leads, or where something was wrong once."""


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    """It signs URLs to itself, and verifies what was sent to them."""
    generate_keys(tmp_path / "keys", ["registry"])
    urls = Urls(UrlSigner("registry", tmp_path / "keys" / "registry.pem"), "http://gateway")
    async with (
        served(pool, tmp_path / "blobs", urls=urls) as it,
        running(partial(verify_sent, it.cases.verifying, it.sent)),
    ):
        yield it


async def _is_as_it_must_be(client: Client, model: Model, registry: Served, pool: Pool) -> None:
    _, listed = await send(client.session, "GET", f"{MODELS}?count=9")
    seen = {each["version"]: each["upload_status"] for each in listed["items"]}
    assert seen == {each.name: each.status for each in model.live.values()}
    for version in VERSIONS:
        held = model.live.get(version)
        status, body = await send(client.session, "GET", f"{MODELS}/{version}/download")
        if held is not None and held.status == "success":
            assert (status, body) == (200, held.stored)
        else:
            assert status == (404 if held is None else 409)
    assert await usage(pool, UUID(int=client.org)) == model.usage
    assert registry.staged == []


async def _nothing_is_forgotten(registry: Served, pool: Pool) -> None:
    """All files are a version's bytes, or parts of an upload that is under way.

    Parts that went with a version out of the trash are unknown, and collected as such.
    """
    rows = await pool.fetch("""
        SELECT place AS at FROM blob UNION ALL SELECT location FROM transfer_part
    """)
    lying = [each for each in (registry.folder / "sha256").rglob("*") if each.is_file()]
    known = sorted(row["at"] for row in rows)
    assert sorted(str(each.relative_to(registry.folder)) for each in lying) == known


@pytest.mark.parametrize(
    "examples",
    [40, pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
async def test_a_version_is_its_whole_bytes_or_none(
    registry: Served, pool: Pool, examples: int
) -> None:
    orgs = count(1)

    async def run(program: list[Step]) -> None:
        model = Model()
        async with aclosing(Client(registry, next(orgs))) as client:
            for step in program:
                expected = step.of(model)
                assert (step, await step.of(client)) == (step, expected)
                await _is_as_it_must_be(client, model, registry, pool)
        if Step("empty_trash") not in program:
            await _nothing_is_forgotten(registry, pool)

    await hold_for_all(PROGRAMS, run, examples=examples, always=ALWAYS)


@pytest.mark.parametrize("number", ["0", "10001", "00000100000000000", "9" * 30, "-1", "x", "²"])
async def test_parts_are_numbered_as_in_s3(registry: Served, number: str) -> None:
    async with aclosing(Client(registry, 1)) as client:
        await client.create("v1")
        _, begun = await send(client.session, "PATCH", f"{MODELS}/v1/start_multipart_upload")
        path = f"/api/registry/transfers/{begun['upload_id']}/{number}"
        assert (await send(client.session, "PUT", path, b"x"))[0] == 404
