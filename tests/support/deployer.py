"""The deployer without processes: bentos, a keeper of images and a target that tests decide."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from libs.chassis.client import OrgRef
from libs.chassis.postgres import DatabaseUnavailableError
from libs.contracts.identity import Person, Principal
from libs.contracts.registry import ModelReference, ResolvedBento
from services.deployer.domain.deployment import Replica
from services.deployer.domain.names import Tag
from services.deployer.domain.verdict import Verdict
from services.deployer.errors import BentoNotFoundError
from services.deployer.plan import Phase, Seen
from services.deployer.targets import Glance, Launch, Watch

ORG = UUID(int=7)
ADA = Person(id=UUID(int=11), name="ada", email="ada@example.com", first_name="Ada", last_name="L")
CALLER = Principal(actor=f"user:{ADA.id}", issuer="gateway", org_id=ORG, org="default", person=ADA)


def digest_of(text: str) -> str:
    return f"sha256:{text.encode().hex():0<64}"[:71]


def manifest(*services: str, entry: str = "Gateway", **changes: Any) -> dict[str, Any]:
    """``Gateway>Inner`` depends on ``Inner``; the first service is the entry."""
    described = []
    for each in services or ("Gateway",):
        name, _, needs = each.partition(">")
        dependencies = [
            {"service": need, "deployment": None, "cluster": None, "url": None}
            for need in needs.split(",")
            if need
        ]
        described.append(
            {"name": name, "service": "", "dependencies": dependencies, "config": {}, "models": []}
        )
    return {"service": "service:Gateway", "entry_service": entry, "services": described, **changes}


def resolved(
    tag: str, described: dict[str, Any] | None = None, *, digest: str = ""
) -> ResolvedBento:
    repository, version = tag.split(":")
    model = ModelReference(
        model_id=UUID(int=5),
        repository="weights",
        version="w1",
        digest=digest_of("ee"),
        size_bytes=3,
    )
    return ResolvedBento(
        bento_id=UUID(int=3),
        repository=repository,
        version=version,
        digest=digest or digest_of(version),
        size_bytes=9,
        manifest=described or manifest(),
        models=(model,),
        pushed_traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
        view={
            "name": version,
            "version": version,
            "repository": {"name": repository},
            "models": ["weights:w1"],
        },
    )


@dataclass
class Bentos:
    """The registry: ``latest`` is what was put last."""

    known: dict[str, ResolvedBento] = field(default_factory=dict)
    held: dict[UUID, UUID] = field(default_factory=dict)
    away: bool = False
    orgs: set[UUID] = field(default_factory=lambda: {ORG})

    def put(self, tag: str, described: dict[str, Any] | None = None, *, digest: str = "") -> None:
        bento = resolved(tag, described, digest=digest)
        self.known[tag] = self.known[f"{bento.repository}:latest"] = bento

    async def resolve(self, tag: Tag, principal: Principal) -> ResolvedBento:
        assert principal.org_id in self.orgs
        try:
            return self.known[str(tag)]
        except KeyError:
            raise BentoNotFoundError(str(tag), "it was never pushed") from None

    async def hold(
        self, revision_id: UUID, bento_id: UUID, *, deployment: str, org: OrgRef
    ) -> None:
        assert org.org_id == ORG
        assert deployment
        if self.away:
            raise DatabaseUnavailableError(ConnectionRefusedError())
        self.held[revision_id] = bento_id

    async def release(self, revision_id: UUID, org: OrgRef) -> None:
        assert org.org_id == ORG
        self.held.pop(revision_id, None)


@dataclass
class Keeper:
    """The builder: keeps every image that was not ``lost``, unless it is ``away``.

    It trusts those without a verdict of their own.
    """

    held: dict[UUID, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)
    away: bool = False

    async def hold(self, revision_id: UUID, image_digest: str, org: OrgRef) -> bool:
        assert org.org_id == ORG
        if self.away:
            raise DatabaseUnavailableError(ConnectionRefusedError())
        if image_digest in self.lost:
            return False
        self.held[revision_id] = image_digest
        return True

    async def verdict(self, image_digest: str, org: OrgRef) -> Verdict:
        assert org.org_id == ORG
        if self.away:
            raise DatabaseUnavailableError(ConnectionRefusedError())
        self.judged.append(image_digest)
        return self.verdicts.get(image_digest, Verdict(trusted=True))

    async def release(self, revision_id: UUID, org: OrgRef) -> None:
        assert org.org_id == ORG
        self.held.pop(revision_id, None)


class Processes:
    """A target: everything started is ready at the next look, unless it ``crashes``."""

    def __init__(self, logs: Path) -> None:
        self.launched: dict[UUID, Launch] = {}
        self.phases: dict[UUID, Phase] = {}
        self.failures: dict[UUID, int] = {}
        self.history: list[str] = []
        self.crashes: set[str] = set()
        self.port = 24000
        self.unenforced = {"gpu": "there is none"}
        self._logs = logs

    def choose_port(self, taken: Collection[int], *, preferred: int | None = None) -> int:
        if preferred is not None:
            return preferred
        self.port += 1
        assert self.port not in taken
        return self.port

    async def observe(self, watches: Sequence[Watch]) -> list[Seen]:
        seen = [self._seen(watch.replica) for watch in watches]
        for replica_id, phase in self.phases.items():
            if phase is Phase.STARTING:
                crashes = self.launched[replica_id].replica.service in self.crashes
                self.phases[replica_id] = Phase.DOWN if crashes else Phase.READY
                self.failures[replica_id] = self.failures.get(replica_id, 0) + crashes
            elif phase is Phase.STOPPING:
                self.phases[replica_id] = Phase.GONE
        return seen

    def start(self, launch: Launch) -> None:
        self.launched[launch.replica.id] = launch
        self.phases[launch.replica.id] = Phase.STARTING
        self._note("start", launch.replica)

    def stop(self, replica: Replica) -> None:
        self.phases[replica.id] = Phase.STOPPING
        self._note("stop", replica)

    def forget(self, replica: Replica) -> None:
        self.phases.pop(replica.id, None)

    async def sweep(self, known: Collection[UUID]) -> None:
        for each in self.phases.keys() - set(known):
            del self.phases[each]

    def last_words(self, replica: Replica, *, lines: int = 40) -> str:
        return f"the last {lines} words of {replica.service}"

    def log_of(self, replica: Replica) -> Path:
        return self._logs / f"{replica.revision_id}-{replica.service}-{replica.position}.log"

    def glance(self, replica: Replica) -> Glance:
        return Glance(self._seen(replica).phase.name.lower(), pid=4711, restarts=0)

    def remove_logs(self, deployment_id: UUID) -> None:
        self.history.append(f"logs removed {deployment_id}")

    def vanish(self) -> None:
        """Every process ends, as when the machine starts anew."""
        self.phases.clear()

    @property
    def running(self) -> list[str]:
        """Services with a process, dependencies first as they were started."""
        return [
            self.launched[each].replica.service
            for each, phase in self.phases.items()
            if phase in {Phase.STARTING, Phase.READY, Phase.STOPPING}
        ]

    def _seen(self, replica: Replica) -> Seen:
        launch = self.launched.get(replica.id)
        return Seen(
            replica,
            self.phases.get(replica.id, Phase.DOWN),
            failures=self.failures.get(replica.id, 0),
            needs=tuple(launch.needs.values()) if launch is not None else (),
        )

    def _note(self, verb: str, replica: Replica) -> None:
        self.history.append(f"{verb} {replica.service}-{replica.position}")
