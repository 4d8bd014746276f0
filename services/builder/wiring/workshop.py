"""The use cases on their tools, the same for the service and for tests of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from libs.chassis.auth import Signer
from libs.chassis.client import OrgRef
from libs.chassis.lifecycle import Wake
from libs.chassis.postgres import Database
from services.builder.containers import Buildah, Limits
from services.builder.domain import Kind, Order, Preferences, Strategy
from services.builder.environments import Children, Folders, Leavings, Uv, UvCaches
from services.builder.oci import CalledAccess, Registries, Remote, canonical_registry
from services.builder.plan import Naming, name_of
from services.builder.service import (
    SERVICE,
    Assembling,
    Attesting,
    Bases,
    Builds,
    Cache,
    Containers,
    ContainerStrategy,
    Destination,
    Dockerfiles,
    Environments,
    Finished,
    Following,
    Giving,
    Housekeeping,
    Images,
    Keep,
    Layering,
    Live,
    Looking,
    Maker,
    Making,
    Prebuilt,
    Pushes,
    Resolving,
    SharedLayers,
    Tx,
    Unpacking,
    Verifying,
    Workshop,
)
from services.builder.supply.pem import SigningKey, VerifyingKey
from services.builder.upstream import Registry


@dataclass(frozen=True, slots=True)
class Peers:
    """The other services, as builds ask them."""

    registry: Registry
    giving: Giving


@dataclass(frozen=True, slots=True)
class Tools:
    """What builds are made with. ``home`` is the platform's own registry, for an organisation."""

    uv: Uv
    children: Children
    home: Callable[[OrgRef], Remote]
    registries: Registries
    naming: Naming = field(default_factory=Naming)
    buildah: Buildah | None = None
    shares_layers: bool = False
    """Through the registry, with builders that have other disks."""
    limits: Limits = field(default_factory=partial(Limits, seconds=3600))
    preferences: Preferences = field(default_factory=partial(Preferences, build_on_push=False))
    """Of organisations that have none of their own."""
    keep: Keep = field(default_factory=Keep)
    key: SigningKey | None = None
    believed: Sequence[VerifyingKey] = ()


def own_registry(
    session: aiohttp.ClientSession, org: OrgRef, *, url: str, signer: Signer
) -> Remote:
    """The platform's, as one organisation sees it: images are its own."""

    async def identity(_: str) -> str:
        actor = f"service:{SERVICE}"
        token = signer.token(actor, audience="registry", org_id=org.org_id, org=org.org)
        return f"Bearer {token}"

    return Remote(session, url, access=CalledAccess(identity))


def workshop(
    database: Database[Tx],
    folders: Folders,
    *,
    peers: Peers,
    tools: Tools,
    wake: Wake,
    live: Live,
) -> Workshop:
    """The use cases, on what they are given."""
    builds, resolving = Builds(database, woken=wake.set), Resolving(database, tools.uv)
    bases, destination = _bases(database, folders, tools), _Destinations(tools)
    containers = Containers(
        builds,
        resolving,
        giving=peers.giving,
        finished=Finished(database),
        destination=destination,
        strategies=_strategies(database, folders, resolving, bases=bases, tools=tools),
        unpacking=Unpacking(builds, folders),
    )
    giving, uv, registry = peers.giving, tools.uv, peers.registry
    environments = Environments(builds, resolving, giving=giving, folders=folders, uv=uv)
    makers: dict[Kind, Maker] = {"environment": environments, "oci": containers}
    images = Images(database, folders)
    keys, scratch = tools.believed, folders.scratch()
    return Workshop(
        builds=builds,
        following=Following(builds, live, folders=folders),
        images=images,
        bases=bases,
        making=Making(
            builds, makers, registry=registry, folders=folders, children=tools.children, live=live
        ),
        registry=registry,
        pushes=Pushes(database, default=tools.preferences, woken=wake.set),
        housekeeping=_housekeeping(database, folders, images, tools=tools),
        attesting=Attesting(database, destination=destination, scratch=scratch, key=tools.key),
        verifying=Verifying(database, builds, registry, destination=destination, keys=keys),
    )


def _housekeeping(
    database: Database[Tx], folders: Folders, images: Images, *, tools: Tools
) -> Housekeeping:
    caches: list[Cache] = [UvCaches(tools.children, folders.caches)]
    if tools.buildah is not None:
        caches.append(tools.buildah)
    leavings = Leavings(folders.root)
    return Housekeeping(
        database,
        images,
        leavings=leavings,
        caches=caches,
        keep=tools.keep,
        shared=SharedLayers(database, tools.home),  # also of when they were shared
    )


def _bases(database: Database[Tx], folders: Folders, tools: Tools) -> Bases:
    looking = Looking(folders.scratch())
    return Bases(database, tools.home, registries=tools.registries, looking=looking)


def _strategies(
    database: Database[Tx], folders: Folders, resolving: Resolving, *, bases: Bases, tools: Tools
) -> Mapping[Strategy, ContainerStrategy]:
    layering = Layering(bases, tools.uv)
    found: dict[Strategy, ContainerStrategy] = {
        Strategy.ASSEMBLE: Assembling(database, resolving, bases=bases, layering=layering),
        Strategy.PREBUILT: Prebuilt(tools.registries, tools.home),
    }
    if tools.buildah is not None:
        found[Strategy.BUILDAH] = Dockerfiles(
            bases,
            tools.buildah,
            layouts=folders.bases(),
            limits=tools.limits,
            shared=SharedLayers(database, tools.home) if tools.shares_layers else None,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Destinations:
    tools: Tools

    def __call__(self, order: Order) -> Destination:
        naming, org = self.tools.naming, OrgRef(order.org_id, order.org)
        name, tag = name_of(
            naming.template,
            repository=order.repository,
            version=order.version,
            org=order.org or str(order.org_id),
        )
        if naming.registry is None:
            return Destination(self.tools.home(org), name, tag, order.org_id)
        host, _, prefix = naming.registry.partition("/")
        registry = canonical_registry(host)
        path = f"{prefix.strip('/')}/{name}".lstrip("/")
        remote = self.tools.registries.remote(registry)
        return Destination(remote, path, tag, order.org_id, registry)
