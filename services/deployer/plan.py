"""What to do next for one deployment: a pure function of what is wanted and what is seen.

An empty plan means converged, or waiting for somebody else: an image, the gateway, a process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from services.deployer.domain.deployment import Deployment, Goal, Replica, Revision, Stage
from services.deployer.domain.layout import ServiceSpec

ATTEMPTS: Final = 3
"""How often a process may end before it was ever ready until its revision has failed."""


class Phase(Enum):
    """What a replica's process is doing."""

    DOWN = auto()  # none runs and none is being stopped
    STARTING = auto()
    READY = auto()
    STOPPING = auto()
    GONE = auto()  # stopped as it was told


@dataclass(frozen=True, slots=True)
class Seen:
    """One replica as it was just observed.

    ``failures`` counts attempts that ended since it last was ready for a while; ``due`` says
    that its backoff is over; ``needs`` are the URLs of the dependencies it was started with.
    """

    replica: Replica
    phase: Phase
    failures: int = 0
    due: bool = True
    overdue: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Ask the builder to keep the revision's image."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Start:
    """Run one replica; ``replica`` is its place if it had one before."""

    revision: Revision
    service: ServiceSpec
    position: int
    replica: Replica | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Let it finish what it does, and end it."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Forget:
    """It has ended; its place and its port are free."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Route:
    """Say that the revision is ready and that traffic belongs to these upstreams."""

    revision: Revision
    upstreams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """The revision will not run; ``replica`` has the last words."""

    revision: Revision
    replica: Replica
    code: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A revision that served has lost a service (or, with no ``replica``, has it back)."""

    revision: Revision
    replica: Replica | None


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing of it runs: its image need not be kept. ``retire`` unless it failed last."""

    revision: Revision
    retire: bool


@dataclass(frozen=True, slots=True)
class End:
    """Nothing of the deployment runs and nothing should."""

    goal: Goal


Action: TypeAlias = Hold | Start | Stop | Forget | Route | Fail | Trouble | Release | End


def plan(
    deployment: Deployment, revisions: Sequence[Revision], seen: Sequence[Seen], *, drained: bool
) -> tuple[Action, ...]:
    """The next actions, in order.

    ``revisions`` are those not retired; ``drained`` says that what the current routing has
    replaced has had time to be left by its last callers.
    """
    if deployment.ended and deployment.goal is Goal.STOP and not revisions and not seen:
        return ()
    if deployment.goal is not Goal.RUN:
        return tuple(_wind_down(deployment, revisions, seen))
    newest_first = sorted(revisions, key=lambda each: -each.number)
    return tuple(_roll(deployment, newest_first, seen, drained=drained))


def _wind_down(
    deployment: Deployment, revisions: Sequence[Revision], seen: Sequence[Seen]
) -> Iterator[Action]:
    for revision in revisions:
        yield from _finish(revision, _of(revision, seen))
    if not revisions and not seen:
        yield End(deployment.goal)


def _roll(
    deployment: Deployment, revisions: Sequence[Revision], seen: Sequence[Seen], *, drained: bool
) -> Iterator[Action]:
    if not revisions:
        return
    latest, *older = revisions
    others = any(each.replica.revision_id != latest.id for each in seen)
    yield from _advance(deployment, latest, _of(latest, seen), others=others)
    for revision in older:
        mine = _of(revision, seen)
        if _replaced(deployment, latest, revision, drained=drained):
            yield from _finish(revision, mine)
        elif revision.stage is Stage.BUILT and not revision.held:
            yield Hold(revision)  # its image was lost while it served, and is there again
        else:
            yield from _run(revision, mine)
            yield from _reroute(deployment, revision, mine)


def _replaced(
    deployment: Deployment, latest: Revision, revision: Revision, *, drained: bool
) -> bool:
    """Whether nobody can be calling ``revision`` any more, or may: its successor insists."""
    if revision.routed_generation is None:
        return True
    if latest.recreate and latest.held and latest.stage is not Stage.IMAGE_FAILED:
        return True
    return (
        deployment.routed_revision_id != revision.id
        and deployment.applied_generation > revision.routed_generation
        and drained
    )


def _advance(
    deployment: Deployment, latest: Revision, mine: Sequence[Seen], *, others: bool
) -> Iterator[Action]:
    match latest.stage:
        case Stage.BUILT:
            if not latest.held:
                yield Hold(latest)
            elif not (latest.recreate and others):
                yield from _bring_up(latest, mine)
        case Stage.ROUTED | Stage.SERVING:
            yield from _run(latest, mine)
            yield from _reroute(deployment, latest, mine)
            yield from _watch(latest, mine)
        case Stage.FAILED | Stage.IMAGE_FAILED:
            if mine or latest.held:
                yield from _finish(latest, mine, retire=False)


def _bring_up(latest: Revision, mine: Sequence[Seen]) -> Iterator[Action]:
    for each in mine:
        if each.phase is Phase.DOWN and each.failures >= ATTEMPTS:
            yield Fail(latest, each.replica, "service-crashed")
            return
        if each.phase is Phase.STARTING and each.overdue:
            yield Fail(latest, each.replica, "service-start-timeout")
            return
    if _complete(latest, mine):
        yield Route(latest, _upstreams(latest, mine))
    else:
        yield from _run(latest, mine)


def _complete(revision: Revision, mine: Sequence[Seen]) -> bool:
    wanted = sum(service.replicas for service in revision.layout)
    return len(mine) == wanted and all(each.phase is Phase.READY for each in mine)


def _run(revision: Revision, mine: Sequence[Seen]) -> Iterator[Action]:
    """Start what is missing, dependencies first; end what was told of dependencies elsewhere."""
    if revision.image_uri is None or revision.stage is Stage.FAILED:
        return  # lost, and being built again, or what was built is no good
    for service in revision.layout:
        needs = [each for each in mine if each.replica.service in service.needs]
        if len(needs) < len(service.needs) or any(each.phase is not Phase.READY for each in needs):
            continue
        urls = {each.replica.url for each in needs}
        for position in range(service.replicas):
            yield from _place(revision, service, position, mine=mine, needs=urls)


def _place(
    revision: Revision,
    service: ServiceSpec,
    position: int,
    *,
    mine: Sequence[Seen],
    needs: set[str],
) -> Iterator[Action]:
    there = [
        each
        for each in mine
        if (each.replica.service, each.replica.position) == (service.name, position)
    ]
    if not there:
        yield Start(revision, service, position, None)
        return
    each = there[0]
    if each.phase is Phase.GONE or (each.phase is Phase.DOWN and each.due):
        yield Start(revision, service, position, each.replica)
    elif each.phase in {Phase.STARTING, Phase.READY} and set(each.needs) != needs:
        yield Stop(each.replica)


def _reroute(deployment: Deployment, revision: Revision, mine: Sequence[Seen]) -> Iterator[Action]:
    """Traffic follows a process that had to take another port."""
    if deployment.routed_revision_id != revision.id or not _complete(revision, mine):
        return
    upstreams = _upstreams(revision, mine)
    if upstreams != deployment.upstreams:
        yield Route(revision, upstreams)


def _watch(revision: Revision, mine: Sequence[Seen]) -> Iterator[Action]:
    if revision.trouble:
        if _complete(revision, mine) and not any(each.failures for each in mine):
            yield Trouble(revision, None)
        return
    for each in mine:
        if each.failures >= ATTEMPTS and each.phase is Phase.DOWN:
            yield Trouble(revision, each.replica)
            return


def _finish(revision: Revision, mine: Sequence[Seen], *, retire: bool = True) -> Iterator[Action]:
    """End its processes, dependants before what they depend on, then let its image go."""
    for each in mine:
        if each.phase in {Phase.GONE, Phase.DOWN}:
            yield Forget(each.replica)
        elif each.phase is not Phase.STOPPING and not _needed(revision, each, mine):
            yield Stop(each.replica)
    if not mine:
        yield Release(revision, retire)


def _needed(revision: Revision, each: Seen, mine: Sequence[Seen]) -> bool:
    """Whether a process that may still be answering somebody calls this one."""
    needs = {service.name: service.needs for service in revision.layout}
    return any(
        each.replica.service in needs.get(other.replica.service, ())
        for other in mine
        if other.phase not in {Phase.GONE, Phase.DOWN}
    )


def _upstreams(revision: Revision, mine: Sequence[Seen]) -> tuple[str, ...]:
    entry = {service.name for service in revision.layout if service.entry}
    replicas = [each.replica for each in mine if each.replica.service in entry]
    return tuple(each.url for each in sorted(replicas, key=lambda replica: replica.position))


def _of(revision: Revision, seen: Sequence[Seen]) -> list[Seen]:
    return [each for each in seen if each.replica.revision_id == revision.id]
