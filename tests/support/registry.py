"""The registry at its edge: served on a port of its own, and what its clients send."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import aiohttp
from aiohttp import web

from libs.chassis.blobs import BlobStore, FileBlobs
from libs.chassis.http import Readiness, build_app
from libs.chassis.idempotency import once
from libs.chassis.lifecycle import Wake, listen
from libs.chassis.listener import Listener, Server
from libs.chassis.postgres import Database, Pool
from libs.contracts.identity import Person, Principal
from services.registry.domain import Kind, Repository, Upload, Version
from services.registry.http import REFUSALS, Urls, routes
from services.registry.service import Patience, Tx, Uploads, UseCases, use_cases
from services.registry.wiring import bind

ORG: Final = UUID(int=1)
PERSON: Final = Person(
    id=UUID(int=7), name="ada", email="ada@example.com", first_name="Ada", last_name="L"
)
BENTOS: Final = "/api/v1/bento_repositories/iris/bentos"
SILENCE: Final = timedelta(seconds=60)
_NO_URLS: Final = Urls(None, None)
_DAY: Final = timedelta(days=1)
PATIENCE: Final = Patience(unneeded=_DAY, deleting=_DAY, unknown=_DAY)
_USAGE: Final = """
    SELECT u.reserved_bytes, u.committed_bytes, v.reserved, v.stored
    FROM (SELECT coalesce(sum(reserved_bytes), 0)::bigint AS reserved,
                 coalesce(sum(size_bytes), 0)::bigint AS stored
          FROM version LEFT JOIN blob USING (digest) WHERE org_id = $1) AS v
    LEFT JOIN usage AS u ON u.org_id = $1
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A registry and where it answers."""

    url: str
    cases: UseCases
    folder: Path
    sent: Wake
    """Set when something has come that is to be verified."""

    @property
    def uploads(self) -> Uploads:
        return self.cases.uploads

    @property
    def staged(self) -> list[Path]:
        """Files of uploads under way."""
        return list((self.folder / "receiving").iterdir())


@asynccontextmanager
async def served(
    pool: Pool,
    folder: Path,
    *,
    silence: timedelta = SILENCE,
    store: BlobStore | None = None,
    patience: Patience = PATIENCE,
    urls: Urls = _NO_URLS,
) -> AsyncIterator[Served]:
    """Answers callers of ``X-Test-Org`` that come through ``X-Test-Issuer``."""

    async def authenticate(request: web.Request) -> Principal:
        issuer = request.headers.get("X-Test-Issuer", "gateway")
        org_id = UUID(int=int(request.headers.get("X-Test-Org", "1")))
        return Principal(actor="user:1", issuer=issuer, org_id=org_id, org="default", person=PERSON)

    async def ready() -> Readiness:
        return Readiness()

    store = store or FileBlobs(folder)
    sent = Wake()
    database = Database(pool, bind)
    cases = _cases(database, store, silence=silence, patience=patience, woken=sent.set)
    app = build_app(
        routes(cases, store, urls, once=partial(once, database=database)),
        service="registry",
        forms=REFUSALS,
        authenticate=authenticate,
        ready=ready,
    )
    server = Server(Listener(app, listen("127.0.0.1", 0)))
    await server.start()
    try:
        yield Served(f"http://{server.address}", cases, folder, sent)
    finally:
        await server.drain(timedelta(seconds=1))
        await server.close()


def _cases(
    database: Database[Tx],
    store: BlobStore,
    *,
    silence: timedelta,
    patience: Patience,
    woken: Callable[[], None],
) -> UseCases:
    return use_cases(
        database,
        store,
        silence=silence,
        undo=timedelta(days=7),
        patience=patience,
        woken=woken,
    )


def archive(
    version: str,
    *,
    name: str = "bento.yaml",
    payload: bytes = b"x",
    repository: str = "iris",
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in (
            (f"./{name}", f"name: {repository}\nversion: {version}\n".encode()),
            ("./src/weights", payload),
            *more.items(),
        ):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive_of(path: str) -> bytes:
    """What fits ``/api/v1/<kind>_repositories/<repository>/<kind>s/<version>/upload``."""
    _, _, _, kinds, repository, _, version, *_ = path.split("/")
    return archive(
        version, name=f"{kinds.removesuffix('_repositories')}.yaml", repository=repository
    )


async def send(
    session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    """``body``: bytes, an iterator of pieces, or what becomes JSON."""
    data: Any = body
    if not isinstance(body, bytes | AsyncIterator | None):
        data = json.dumps(body).encode()
    if isinstance(data, bytes):
        data = io.BytesIO(data)
    async with session.request(method, path, data=data) as answer:
        raw = await answer.read()
        return answer.status, json.loads(raw) if "json" in answer.content_type else raw


async def create(session: aiohttp.ClientSession, version: str, **manifest: object) -> None:
    await send(session, "POST", "/api/v1/bento_repositories", {"name": "iris"})
    body = {
        "version": version,
        "manifest": {"service": "s:S", "size_bytes": 1, **manifest},
        "build_at": "2026-11-20 10:09:03.538404",
        "labels": [{"key": "team", "value": version}],
    }
    status, made = await send(session, "POST", BENTOS, body)
    assert status == 200, made
    assert made["upload_status"] == "pending"


async def create_model(session: aiohttp.ClientSession, version: str, **manifest: object) -> str:
    """Its path."""
    top = "/api/v1/model_repositories"
    await send(session, "POST", top, {"name": "iris"})
    body = {
        "version": version,
        "manifest": {"module": "m", "api_version": "v1", "bentoml_version": "1", **manifest},
        "build_at": "2026-11-20 10:09:03.538404",
    }
    status, made = await send(session, "POST", f"{top}/iris/models", body)
    assert status == 200, made
    return f"{top}/iris/models/{version}"


async def pieces(
    content: bytes, *, sizes: int = 4096, taken: list[int] | None = None, pause: float = 0
) -> AsyncIterator[bytes]:
    """A body piece by piece; ``taken`` notes each that was asked for."""
    for at in range(0, len(content), sizes):
        if taken is not None:
            taken.append(at)
        yield content[at : at + sizes]
        await asyncio.sleep(pause)


async def held(content: bytes, go_on: asyncio.Event) -> AsyncIterator[bytes]:
    """All but the last block; that follows when the test says so."""
    yield content[:-512]
    await go_on.wait()
    yield content[-512:]


async def usage(pool: Pool, org_id: UUID = ORG) -> tuple[int, int]:
    """Reserved and committed bytes as counted, which are at any moment what they sum up to."""
    row = await pool.fetchrow(_USAGE, org_id)
    assert row is not None
    counted = (row["reserved_bytes"] or 0, row["committed_bytes"] or 0)
    assert counted == (row["reserved"], row["stored"])
    return counted


def version_of(manifest: dict[str, Any]) -> tuple[Repository, Version]:
    """A version that is stored nowhere."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    repository = Repository(UUID(int=2), ORG, Kind.BENTO, "iris", "", now, PERSON)
    draft = Version(
        id=UUID(int=3),
        org_id=ORG,
        repository_id=repository.id,
        version="v1",
        description="",
        manifest=json.dumps(manifest),
        labels=(),
        build_at=now,
        created_at=now,
        updated_at=now,
        upload_status=Upload.PENDING,
        upload_reason="",
        upload_started_at=None,
        upload_finished_at=None,
        image_status="pending",
        digest=None,
        traceparent=None,
        seq=1,
    )
    return repository, draft
