"""The loop that makes what runs what should run: look, plan, act, and look again.

Level-triggered: it may be killed at any instant. Being woken only makes it look sooner.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from libs.chassis.errors import ServiceError
from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.lifecycle import TaskGroup, Wake
from libs.contracts.types import cut
from services.deployer.domain.deployment import Deployment, Goal, Replica
from services.deployer.plan import (
    Action,
    End,
    Fail,
    Forget,
    Hold,
    Phase,
    Release,
    Route,
    Seen,
    Start,
    Stop,
    Trouble,
    plan,
)
from services.deployer.service import (
    Holds,
    Keeper,
    Rollouts,
    Secrets,
    Shelf,
    Situation,
    Trust,
)
from services.deployer.targets import Launch, Target, Watch

log = structlog.get_logger(__name__)

_AGAIN: Final = timedelta(milliseconds=10)
_SOON: Final = timedelta(milliseconds=250)
_STEADY: Final = timedelta(seconds=2)
_IDLE: Final = timedelta(seconds=30)
_LIST: Final = timedelta(seconds=5)
_FIRST_RETRY: Final = timedelta(milliseconds=250)
_LONGEST_RETRY: Final = timedelta(seconds=10)
_UNSETTLED: Final = frozenset({Phase.STARTING, Phase.DOWN, Phase.STOPPING})


class Controller:
    """One worker for each deployment that is not settled."""

    def __init__(
        self,
        rollouts: Rollouts,
        target: Target,
        *,
        secrets: Secrets,
        keeper: Keeper,
        shelf: Shelf,
        drain: timedelta,
        trust: Trust | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rollouts = rollouts
        self._secrets = secrets
        self._target = target
        self._holds = Holds(rollouts, keeper, shelf, trust=trust, clock=clock)
        self._drain = drain
        self._clock = clock
        self._wakes: dict[UUID, Wake] = {}
        self._known: set[UUID] = set()
        self._any = Wake()

    def wake(self, deployment_id: UUID) -> None:
        """Look at it now."""
        if deployment_id in self._wakes:
            self._wakes[deployment_id].set()
        else:
            self._known.add(deployment_id)
            self._any.set()

    async def lead(self, lease: Lease) -> None:
        """Run whenever no other replica does. Never returns."""
        while True:
            try:
                async with lease.hold():
                    await self.run()
            except LeaseLostError:
                log.warning("controller.paused")

    async def run(self) -> None:
        """Never returns."""
        self._wakes.clear()
        await self._patiently(self._sweep)
        async with TaskGroup() as group:
            while True:
                await self._patiently(self._list)
                for each in self._known - self._wakes.keys():
                    self._wakes[each] = Wake()
                    group.create_task(self._work(each, self._wakes[each]))
                self._known.clear()
                await self._any.wait(_LIST)

    async def turn(self, deployment_id: UUID) -> timedelta | None:
        """One look and what follows from it; when to look again, or None when it is settled."""
        situation = await self._rollouts.situation(deployment_id)
        if situation is None:
            self._target.remove_logs(deployment_id)
            return None
        if await self._holds.renew(situation):
            return _AGAIN
        seen = await self._observe(situation)
        actions = plan(
            situation.deployment,
            situation.revisions,
            seen,
            drained=self._drained(situation.deployment),
        )
        for action in sorted(actions, key=_asks):
            await self._apply(action, situation, seen)
        return _pause(situation, seen, actions)

    async def _sweep(self) -> None:
        await self._target.sweep(await self._rollouts.replica_ids())

    async def _list(self) -> None:
        self._known |= await self._rollouts.active()

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        """Until it has worked: the database may be away for a while."""
        retry = _FIRST_RETRY
        while True:
            try:
                return await step()
            except ServiceError as error:
                log.warning("controller.deferred", code=error.code, detail=error.detail)
            await Wake().wait(retry)
            retry = min(retry * 2, _LONGEST_RETRY)

    async def _work(self, deployment_id: UUID, wake: Wake) -> None:
        """Until it is settled, and not woken in that very moment."""
        retry = _FIRST_RETRY
        with structlog.contextvars.bound_contextvars(deployment_id=str(deployment_id)):
            while True:
                try:
                    pause = await self.turn(deployment_id)
                    retry = _FIRST_RETRY
                except ServiceError as error:
                    log.warning("deployment.deferred", code=error.code, detail=error.detail)
                    pause, retry = retry, min(retry * 2, _LONGEST_RETRY)
                except Exception:
                    log.exception("deployment.crashed")
                    pause, retry = retry, min(retry * 2, _LONGEST_RETRY)
                if not await wake.wait(pause or _AGAIN) and pause is None:
                    del self._wakes[deployment_id]
                    return

    async def _observe(self, situation: Situation) -> list[Seen]:
        probes = {
            (revision.id, service.name): service
            for revision in situation.revisions
            for service in revision.layout
        }
        watches = []
        for replica in situation.replicas:
            service = probes.get((replica.revision_id, replica.service))
            paths = (service.readyz, service.livez) if service else ("/readyz", "/livez")
            watches.append(Watch(replica, *paths))
        return await self._target.observe(watches)

    def _drained(self, deployment: Deployment) -> bool:
        applied_at = deployment.applied_at
        return applied_at is not None and self._clock() - applied_at >= self._drain

    async def _apply(self, action: Action, situation: Situation, seen: list[Seen]) -> None:
        match action:
            case Start():
                await self._start(action, seen)
            case Stop(replica):
                self._target.stop(replica)
            case Forget(replica):
                await self._rollouts.forget(replica)
                self._target.forget(replica)
            case Hold(revision):
                await self._holds.take(revision, situation.deployment)
            case Release(revision, retire):
                await self._holds.release(revision, situation.deployment, retire=retire)
            case Route() | Fail() | Trouble():
                await self._record(action)
            case End():
                await self._rollouts.end(situation.deployment)

    async def _record(self, action: Route | Fail | Trouble) -> None:
        match action:
            case Route(revision, upstreams):
                await self._rollouts.route(revision, upstreams)
            case Fail(revision, replica, code):
                words = self._target.last_words(replica)
                reason = f"service {replica.service}: {words}"
                await self._rollouts.fail(revision, code=code, reason=reason)
            case Trouble(revision, None):
                await self._rollouts.trouble(revision, "")
            case Trouble(revision, Replica() as lost):
                words = self._target.last_words(lost)
                text = f"service {lost.service} keeps ending:\n{words}"
                await self._rollouts.trouble(revision, cut(text))

    async def _start(self, action: Start, seen: list[Seen]) -> None:
        revision, service, before = action.revision, action.service, action.replica
        mine = [each.replica for each in seen if each.replica.revision_id == revision.id]
        taken = await self._rollouts.ports() - ({before.port} if before else set())
        replica = Replica(
            id=before.id if before else uuid7(),
            deployment_id=revision.deployment_id,
            revision_id=revision.id,
            service=service.name,
            position=action.position,
            port=self._target.choose_port(taken, preferred=before.port if before else None),
        )
        if replica != before and not await self._rollouts.place(replica):
            return
        config = await self._rollouts.config(revision)
        secret = await self._secrets.opened(revision.cause.org_id, config.secrets)
        overrides = {name: each.overrides for name, each in config.services.items()}
        self._target.start(
            Launch(
                replica=replica,
                image_uri=revision.image_uri or "",
                needs={each.service: each.url for each in mine if each.service in service.needs},
                envs=config.envs + config.of(service.name).envs + secret.envs,
                files=secret.files,
                overrides={name: each for name, each in overrides.items() if each},
                resources=service.resources,
            )
        )


def _asks(action: Action) -> bool:
    """These come last: whoever does not answer yet keeps nothing else from being done."""
    return isinstance(action, Hold)


def _pause(situation: Situation, seen: list[Seen], actions: tuple[Action, ...]) -> timedelta | None:
    if actions:
        return _AGAIN
    if any(each.phase in _UNSETTLED for each in seen) or _awaits_drain(situation):
        return _SOON
    if seen:
        return _STEADY
    return None if situation.deployment.goal is not Goal.RUN else _IDLE


def _awaits_drain(situation: Situation) -> bool:
    """The current routing is in force, and something older still runs."""
    deployment = situation.deployment
    return len(situation.revisions) > 1 and deployment.applied_generation == deployment.generation
