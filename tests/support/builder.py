"""A builder between the real registry and the real uv, driven by the test."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import aiohttp
import yaml

from libs.chassis.auth import Signer
from libs.chassis.client import OrgRef, Peer
from libs.chassis.context import Cause, bound
from libs.chassis.isolation import Isolation
from libs.chassis.keys import generate_keys
from libs.chassis.lifecycle import Wake
from libs.chassis.postgres import Database, Pool
from libs.contracts.deployer import PinnedModel
from libs.contracts.identity import Person, Principal
from services.builder.containers import Buildah
from services.builder.controller import Lanes, Worker
from services.builder.domain import BuildView, Wish
from services.builder.environments import Children, Confinement, Folders, Uv
from services.builder.oci import Known, Registries, Remote
from services.builder.plan import Naming
from services.builder.service import Builds, Giving, Images, Live, Tx, Workshop
from services.builder.upstream import Deployer, Registry
from services.builder.wiring import Peers, Tools, own_registry, workshop
from services.registry.wiring import bind
from tests.support.build_requests import requested
from tests.support.packages import tar_archive
from tests.support.registry_app import registry_app
from tests.support.serving import served
from tests.support.tiny import stand_in

ORG: Final = UUID(int=1)
OTHER: Final = UUID(int=2)
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_ENDED: Final = frozenset({"built", "failed", "cancelled"})
ADA: Final = Person(id=UUID(int=7), name="ada", email="a@x", first_name="Ada", last_name="L")
CALLER: Final = Principal(actor="user:1", issuer="gateway", org_id=ORG, org="default", person=ADA)


@dataclass
class Yard:
    """``away`` holds digests of which the registry cannot say anything for the moment."""

    folder: Path
    registry_url: str
    session: aiohttp.ClientSession
    shop: Workshop
    folders: Folders
    worker: Worker
    gateway: Signer
    live: Live
    away: set[str] = field(default_factory=set)

    @property
    def builds(self) -> Builds:
        return self.shop.builds

    @property
    def images(self) -> Images:
        return self.shop.images

    @property
    def wheel(self) -> str:
        """A requirement that needs no index."""
        return stand_in()

    async def push(
        self,
        tag: str,
        *requirements: str,
        org: UUID = ORG,
        image: Mapping[str, Any] | None = None,
        source: str = "",
        files: Mapping[str, str | None] | None = None,
        models: Sequence[str] = (),
        envs: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """Digest of a bento; by default one that asks for the stand-in wheel alone.

        ``files`` are added, or with None left out.
        """
        name, _, version = tag.partition(":")
        described = {
            "name": name,
            "version": version,
            "bentoml_version": "1.4.0",
            "image": {"python_version": PYTHON, **(image or {})},
            "envs": [*envs],
        }
        lines = "\n".join(requirements or [self.wheel])
        packed: dict[str, str | None] = {
            "bento.yaml": yaml.safe_dump(described),
            "env/python/requirements.txt": lines,
            "env/docker/entrypoint.sh": "#!/bin/bash\n",
            "src/service.py": source or f"# {tag}",
            **(files or {}),
        }
        there = {name: text for name, text in packed.items() if text is not None}
        return await self._push("bento", name, version, files=there, org=org, models=models)

    async def push_model(self, tag: str) -> str:
        name, _, version = tag.partition(":")
        described = yaml.safe_dump({"name": name, "version": version})
        files = {"model.yaml": described, "weights": tag}
        return await self._push("model", name, version, files=files, org=ORG)

    async def request(
        self,
        digest: str,
        *models: PinnedModel,
        org: UUID = ORG,
        kind: Literal["environment", "oci"] = "environment",
        secrets: Sequence[str] = (),
    ) -> UUID:
        """Id of the build that a new revision of the bento asks for."""
        envelope = requested(digest, *models, org=org, kind=kind, secrets=secrets)
        with bound(Cause("service:builder", org, "c1")):
            await self.builds.request(envelope, consumer="builder-requests-v1")
        return (await self.builds.newest(org, count=1))[0].id

    async def order(self, tag: str, wish: Wish) -> UUID:
        """Id of the build of a container image that somebody asks for."""
        repository, _, version = tag.partition(":")
        bento = await self.shop.registry.resolve(repository, version, OrgRef.of(CALLER))
        with bound(Cause(CALLER.actor, ORG, "c1")):
            return (await self.builds.order(CALLER, bento, wish)).id

    def home(self, org: OrgRef) -> Remote:
        """The registry, as the builder sees it."""
        return _home(self.session, self.registry_url, self.folder / "keys")(org)

    async def ended(self, build: UUID, *, org: UUID = ORG) -> BuildView:
        """The build when it has ended; the worker runs in the test's own time."""
        async with asyncio.timeout(60):
            while (view := await self.builds.one(org, build)).status not in _ENDED:
                if not await self.worker.turn():
                    await asyncio.sleep(0.05)
        return view

    def log(self, build: UUID) -> str:
        file = self.folders.log(build)
        return file.read_text() if file.exists() else ""

    async def _push(
        self,
        kind: str,
        name: str,
        version: str,
        *,
        files: Mapping[str, str],
        org: UUID,
        models: Sequence[str] = (),
    ) -> str:
        at = f"{self.registry_url}/api/v1/{kind}_repositories"
        body = tar_archive(files)
        for method, path, sent in (
            ("POST", "", {"name": name, "description": ""}),
            (
                "POST",
                f"/{name}/{kind}s",
                {
                    "version": version,
                    "description": "",
                    "manifest": {"name": name, "models": list(models)},
                    "build_at": "2026-11-20 10:09:03.538404",
                    "labels": [],
                },
            ),
            ("PUT", f"/{name}/{kind}s/{version}/upload", body),
        ):
            token = self.gateway.token(
                "user:1", audience="registry", org_id=org, org="default", person=ADA
            )
            how = {"data": sent} if isinstance(sent, bytes) else {"json": sent}
            async with self.session.request(
                method, f"{at}{path}", headers={"Authorization": f"Bearer {token}"}, **how
            ) as answer:
                assert answer.status == 200 or not path, await answer.text()
        return f"sha256:{hashlib.sha256(body).hexdigest()}"


@asynccontextmanager
async def building(
    pool: Pool,
    shelves: Pool,
    folder: Path,
    *,
    index_url: str | None = None,
    plain_http: Collection[str] = (),
    allowed: Collection[str] = (),
    naming: Naming = Naming(),  # noqa: B008 - frozen
    buildah: Buildah | None = None,
    lanes: Lanes = Lanes(),  # noqa: B008 - frozen
    isolation: Isolation = Isolation(),  # noqa: B008 - frozen
    secrets_url: str = "http://127.0.0.1:9",
    **more: Any,
) -> AsyncIterator[Yard]:
    """``pool`` is the builder's, ``shelves`` the registry's; ``more`` are other tools.

    Nobody opens secrets by default.
    """
    keys = folder / "keys"
    generate_keys(keys, ["gateway", "registry", "builder", "deployer"])
    away: set[str] = set()
    app = registry_app(Database(shelves, bind), folder / "blobs", keys=keys, away=away)
    async with served(app) as url, aiohttp.ClientSession() as session:
        live, wake, folders = Live(), Wake(), Folders(folder / "builder")
        database = Database(pool, Tx.bind, committed=live.announce)
        children = Children(f"test-{folder.name}:build")
        confined = Confinement(children, folders.caches, isolation)
        uv, home = Uv(children, confined, index_url=index_url), _home(session, url, keys)
        others = Registries(session, Known(plain_http=plain_http, allowed=allowed))
        tools = Tools(uv, children, home, others, naming, buildah, **more)
        peers = _peers(session, url, keys, secrets_url=secrets_url)
        shop = workshop(database, folders, peers=peers, tools=tools, wake=wake, live=live)
        yield Yard(
            folder,
            url,
            session,
            shop,
            folders,
            _worker(shop, lanes, wake),
            Signer("gateway", keys / "gateway.pem"),
            live,
            away,
        )


def _peers(session: aiohttp.ClientSession, url: str, keys: Path, *, secrets_url: str) -> Peers:
    signer = Signer("builder", keys / "builder.pem")

    def peer(name: str, at: str) -> Peer:
        return Peer(session, service="builder", peer=name, base_url=at, signer=signer)

    deployer = Deployer(peer("deployer", secrets_url))
    return Peers(Registry(peer("registry", url)), Giving(deployer, b"k" * 32))


def _worker(shop: Workshop, lanes: Lanes, wake: Wake) -> Worker:
    return Worker(
        shop.builds,
        shop.making,
        housekeeping=shop.housekeeping,
        attesting=shop.attesting,
        lanes=lanes,
        wake=wake,
    )


def _home(session: aiohttp.ClientSession, url: str, keys: Path) -> Callable[[OrgRef], Remote]:
    return partial(own_registry, session, url=url, signer=Signer("builder", keys / "builder.pem"))
