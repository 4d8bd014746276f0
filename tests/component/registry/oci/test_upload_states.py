"""Whatever clients do, in whatever order: a blob is the bytes of its name, or there is none."""

import asyncio
from contextlib import aclosing
from itertools import count
from typing import Final
from uuid import UUID

import aiohttp
import pytest
from hypothesis import strategies as st

from libs.chassis.postgres import Pool
from tests.support.loops import eventually
from tests.support.oci import call, digest_of
from tests.support.oci_uploading import Images, Named, Where, first_byte
from tests.support.programs import Step, hold_for_all, programs_of
from tests.support.registry import Served

REPOSITORIES: Final = ("base", "team/iris")
HALVES: Final = (b"0123456789", b"abcdefghij")
WHOLE: Final = b"".join(HALVES)

_name = st.sampled_from(REPOSITORIES)
_piece = st.sampled_from([*HALVES, b"xy" * 40_000])
_content = st.sampled_from([WHOLE, HALVES[0], b""])
_where = st.sampled_from(["anywhere", "next", "next", "again", "ahead"])
_named = st.sampled_from(["sha256", "sha256", "sha512", "another"])
_back = st.sampled_from([0, 0, 0, 1])


def _step(verb: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(*arguments).map(lambda chosen: Step(verb, chosen))


_STEPS: Final = st.one_of(
    _step("begin", _name),
    _step("push", _name, _content, _named),
    _step("append", _back, _piece, _where),
    _step("append", _back, _piece, _where),
    _step("append", _back, st.just(b""), st.just("anywhere")),
    _step("append_less_than_announced", _back, _piece),
    _step("break_off", _back, _piece),
    _step("finish", _back, _piece, _where, _named),
    _step("finish", _back, st.just(b""), st.just("anywhere"), _named),
    _step("cancel", _back),
    _step("mount", _name, _content, st.sampled_from([None, *REPOSITORIES])),
    _step("remove", _name, _content),
    _step("collect"),
    _step("push_elsewhere", _content),
)
_PIECES: Final = st.builds(
    lambda name, where, named: [
        Step("begin", (name,)),
        Step("append", (0, HALVES[0], where)),
        Step("finish", (0, HALVES[1], "next", named)),
    ],
    _name,
    _where,
    _named,
)
_MOUNT: Final = st.builds(
    lambda name, content: [
        Step("mount", (name, content, None)),
        Step("push", (name, content, "sha256")),
    ],
    _name,
    _content,
)
PROGRAMS: Final = programs_of(Step("begin", ("base",)), _STEPS, _PIECES, _MOUNT)
BEGIN: Final = Step("begin", ("base",))
PUSH: Final = Step("push", ("base", WHOLE, "sha256"))
MOUNT: Final = Step("mount", ("team/iris", WHOLE, "base"))
REMOVE: Final = Step("remove", ("base", WHOLE))
COLLECT: Final = Step("collect")
FINISH: Final = Step("finish", (0, HALVES[1], "next", "sha256"))
ALWAYS: Final = [
    [PUSH, MOUNT, REMOVE, COLLECT, Step("remove", ("team/iris", WHOLE)), COLLECT, MOUNT, PUSH],
    [
        BEGIN,
        Step("append", (0, HALVES[0], "next")),
        Step("break_off", (0, HALVES[1])),
        FINISH,
        FINISH,
    ],
    [BEGIN, Step("append", (0, HALVES[0], "next")), PUSH, COLLECT, FINISH, REMOVE, COLLECT],
    [BEGIN, Step("append", (0, b"", "anywhere")), Step("finish", (0, b"", "anywhere", "sha512"))],
    [
        Step("push", ("base", b"", "sha512")),
        Step("push_elsewhere", (b"",)),
        Step("remove", ("base", b"")),
    ],
]
"""Where chance seldom leads."""


class Client:
    """Takes the model's steps for an organisation of its own; each answers with a status."""

    def __init__(self, registry: Served, org: int) -> None:
        self.org = org
        self._registry = registry
        self.session = aiohttp.ClientSession(registry.url, headers={"X-Test-Org": str(org)})
        self.uploads: list[tuple[str, bytearray]] = []
        """Where each takes bytes, and what it has taken."""

    async def aclose(self) -> None:
        await self.session.close()

    async def begin(self, repository: str) -> int:
        return await self._begun(f"/v2/{repository}/blobs/uploads/")

    async def push(self, repository: str, content: bytes, named: Named) -> int:
        path = f"/v2/{repository}/blobs/uploads/?digest={_digest(content, named)}"
        return (await call(self.session, "POST", path, content)).status

    async def append(self, back: int, piece: bytes, where: Where) -> int:
        if back >= len(self.uploads):
            return 404
        path, taken = self.uploads[-1 - back]
        headers = _range(where, taken, piece)
        status = (await call(self.session, "PATCH", path, piece, **headers)).status
        if status == 202:
            taken += piece
        return status

    async def append_less_than_announced(self, back: int, piece: bytes) -> int:
        if back >= len(self.uploads):
            return 404
        path, taken = self.uploads[-1 - back]
        said = f"{len(taken)}-{len(taken) + len(piece)}"
        return (await call(self.session, "PATCH", path, piece, Content_Range=said)).status

    async def break_off(self, back: int, piece: bytes) -> int:
        """In the middle, without a word."""
        if back >= len(self.uploads):
            return 404
        path, _ = self.uploads[-1 - back]
        if (seen := await call(self.session, "GET", path)).status == 404:
            return seen.status
        host, _, port = self._registry.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"PATCH {path} HTTP/1.1\r\nHost: x\r\nX-Test-Org: {self.org}\r\n"
            f"Content-Length: {len(piece) + 1}\r\n\r\n".encode()
            + piece
        )
        await eventually(lambda: len(self._registry.staged) == 1)
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: self._registry.staged == [])
        return 0

    async def finish(self, back: int, piece: bytes, where: Where, named: Named) -> int:
        if back >= len(self.uploads):
            return 404
        path, taken = self.uploads[-1 - back]
        digest = _digest(bytes(taken) + piece, named)
        headers = _range(where, taken, piece)
        return (await call(self.session, "PUT", f"{path}?digest={digest}", piece, **headers)).status

    async def cancel(self, back: int) -> int:
        if back >= len(self.uploads):
            return 404
        return (await call(self.session, "DELETE", self.uploads[-1 - back][0])).status

    async def mount(self, repository: str, content: bytes, source: str | None) -> int:
        asked = f"mount={digest_of(content)}" + (f"&from={source}" if source else "")
        return await self._begun(f"/v2/{repository}/blobs/uploads/?{asked}")

    async def remove(self, repository: str, content: bytes) -> int:
        path = f"/v2/{repository}/blobs/{digest_of(content)}"
        return (await call(self.session, "DELETE", path)).status

    async def collect(self) -> int:
        asked = b'{"empty": true, "force": true}'
        return (await call(self.session, "POST", "/api/registry/gc", asked)).status

    async def push_elsewhere(self, content: bytes) -> int:
        path = f"/v2/base/blobs/uploads/?digest={digest_of(content)}"
        as_other = {"X_Test_Org": str(self.org + 1_000_000)}
        return (await call(self.session, "POST", path, content, **as_other)).status

    async def _begun(self, path: str) -> int:
        answer = await call(self.session, "POST", path)
        if answer.status == 202:
            self.uploads.append((answer.headers["Location"], bytearray()))
        return answer.status


def _digest(content: bytes, named: Named) -> str:
    return digest_of(content + b"!") if named == "another" else digest_of(content, named)


def _range(where: Where, taken: bytearray, piece: bytes) -> dict[str, str]:
    first = first_byte(where, len(taken))
    return {} if first is None else {"Content_Range": f"{first}-{first + len(piece) - 1}"}


async def _is_as_it_must_be(client: Client, model: Images, registry: Served, pool: Pool) -> None:
    for name in REPOSITORIES:
        for content in model.seen:
            seen = await call(client.session, "GET", f"/v2/{name}/blobs/{digest_of(content)}")
            if (name, content) in model.blobs:
                assert (seen.status, seen.body) == (200, content)
            else:
                assert seen.code == "BLOB_UNKNOWN"
    for (path, _), upload in zip(client.uploads, model.uploads, strict=True):
        seen = await call(client.session, "GET", path)
        if upload.is_over:
            assert seen.code == "BLOB_UPLOAD_UNKNOWN"
        else:
            here = f"0-{max(len(upload.content) - 1, 0)}"
            assert (seen.status, seen.headers["Range"]) == (204, here)
    query = "SELECT reserved_bytes, committed_bytes FROM usage WHERE org_id = $1"
    row = await pool.fetchrow(query, UUID(int=client.org))
    assert tuple(row or (0, 0)) == (0, model.stored)
    assert registry.staged == []


async def _nothing_is_forgotten(registry: Served, pool: Pool) -> None:
    """All files are blobs, or pieces of an upload that is under way."""
    rows = await pool.fetch("SELECT place AS at FROM blob UNION ALL SELECT location FROM oci_piece")
    lying = [each for each in (registry.folder / "sha256").rglob("*") if each.is_file()]
    known = sorted(row["at"] for row in rows)
    assert sorted(str(each.relative_to(registry.folder)) for each in lying) == known


@pytest.mark.parametrize(
    "examples",
    [40, pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
async def test_a_blob_is_the_bytes_of_its_name_or_none(
    registry: Served, pool: Pool, examples: int
) -> None:
    orgs = count(1)

    async def run(program: list[Step]) -> None:
        model = Images()
        async with aclosing(Client(registry, next(orgs))) as client:
            for step in program:
                expected = step.of(model)
                assert (step, await step.of(client)) == (step, expected)
                await _is_as_it_must_be(client, model, registry, pool)
        await _nothing_is_forgotten(registry, pool)

    await hold_for_all(PROGRAMS, run, examples=examples, always=ALWAYS)
