"""The ``local`` target: every service of a revision is a supervised process of this machine."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from libs.chassis.cgroups import LimitUnavailableError
from libs.chassis.isolation import Isolation, depth
from libs.chassis.lifecycle import TaskGroup
from libs.chassis.process import (
    Process,
    adopt,
    leftovers,
    load_records,
    spawn,
    stop_leftovers,
)
from services.deployer.domain.deployment import Replica
from services.deployer.plan import ATTEMPTS, Phase, Seen
from services.deployer.targets.container import begun
from services.deployer.targets.launch import Folders, needs_of, place
from services.deployer.targets.limits import Enforcement
from services.deployer.targets.logs import tend
from services.deployer.targets.ports import Ports
from services.deployer.targets.probes import Probes, workers
from services.deployer.targets.target import Glance, Launch, Watch
from services.deployer.targets.watched import MISSES, Policy, Watched

log = structlog.get_logger(__name__)

_ROTATE_EVERY: Final = timedelta(seconds=5)
_CRASH_GRACE: Final = timedelta(seconds=2)
_SWEEP_GRACE: Final = timedelta(seconds=5)

_OPEN: Final = Isolation()
_UNLIMITED: Final = Enforcement()

Job = Callable[[], Awaitable[None]]


class LocalTarget:
    """Processes outlive this object: the next one finds them by their records.

    ``woken`` is called with a deployment's id when one of its processes has ended.
    """

    def __init__(
        self,
        folders: Folders,
        *,
        marker: str,
        ports: Ports,
        probes: Probes,
        policy: Policy,
        woken: Callable[[UUID], None],
        isolation: Isolation = _OPEN,
        enforcement: Enforcement = _UNLIMITED,
    ) -> None:
        self._folders = folders
        self._marker = marker if ":" in marker else f"{marker}:deployment"
        self._ports = ports
        self._probes = probes
        self._policy = policy
        self._woken = woken
        self._isolation = isolation
        self._enforcement = enforcement
        self._watched: dict[UUID, Watched] = {}
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._found = {each.name: each for each in load_records(folders.records)}

    @property
    def unenforced(self) -> Mapping[str, str]:
        return self._enforcement.refusals

    async def run(self) -> None:
        """Wait for processes, and end them, without anybody waiting. Never returns."""
        async with TaskGroup() as group:
            while True:
                job = await self._jobs.get()
                group.create_task(_awaited(job))

    async def rotate_logs(self) -> None:
        """Keep what processes write bounded, and for a while what they wrote. Never returns."""
        while True:
            live = {each.log for each in self._watched.values()}
            for path in self._folders.every_log():
                try:
                    await asyncio.to_thread(tend, path, live=path in live)
                except OSError as error:  # removed meanwhile, or the disk is full
                    log.warning("target.log_not_tended", path=str(path), reason=str(error))
            await asyncio.sleep(_ROTATE_EVERY.total_seconds())

    def choose_port(self, taken: Collection[int], *, preferred: int | None = None) -> int:
        return self._ports.choose(taken, preferred=preferred)

    async def sweep(self, known: Collection[UUID]) -> None:
        """Also what was started by a process that was killed before it could write a record."""
        names = {str(each) for each in known}
        for name in self._found.keys() - names:
            process = adopt(self._found.pop(name))
            if process is not None:
                await process.stop(_SWEEP_GRACE)
        mine = {record.token for record in self._found.values()}
        mine |= {each.process.record.token for each in self._watched.values() if each.process}
        self._folders.remove_work(names)
        strays = [each for each in leftovers(self._marker) if each.token not in mine]
        if strays:
            log.warning("target.strays_ended", pids=[each.identity.pid for each in strays])
            await stop_leftovers(strays, grace=_SWEEP_GRACE)
        await self._enforcement.sweep(self._running())

    async def observe(self, watches: Sequence[Watch]) -> list[Seen]:
        return list(await asyncio.gather(*(self._look(watch) for watch in watches)))

    def start(self, launch: Launch) -> None:
        replica = launch.replica
        watched = self._of(replica)
        if watched.process is not None:
            return
        try:
            process = self._spawn(launch)
        except (OSError, LimitUnavailableError) as error:
            watched.failed(_now())
            watched.refused = f"it cannot be started: {error}"
            log.warning("replica.not_started", **_about(replica), reason=str(error))
            return
        watched.restarts += 1 if watched.begun_at else 0
        watched.begun(process, tuple(launch.needs.values()), _now())
        self._await_end(replica, process)
        log.info("replica.started", **_about(replica), pid=process.pid, port=replica.port)

    def _spawn(self, launch: Launch) -> Process:
        work = self._folders.work(launch.replica)
        (work / "tmp").mkdir(parents=True, exist_ok=True)
        for path, content in launch.files:
            place(work, path, content)
        self._isolation.hand_over(work)
        records, log_path = self._folders.records, self._folders.log(launch.replica)
        name = str(launch.replica.id)
        with (
            begun(launch, work, self._isolation) as command,
            self._enforcement.limiting(command, name, launch.resources) as limited,
        ):
            return spawn(records, name, limited, log=log_path, marker=self._marker)

    def stop(self, replica: Replica) -> None:
        self._end(replica, self._policy.grace, gone=True)

    def forget(self, replica: Replica) -> None:
        self._watched.pop(replica.id, None)
        shutil.rmtree(self._folders.work(replica), ignore_errors=True)

    def last_words(self, replica: Replica, *, lines: int = 40) -> str:
        return self._of(replica).last_words(lines)

    def log_of(self, replica: Replica) -> Path:
        return self._folders.log(replica)

    def glance(self, replica: Replica) -> Glance:
        watched = self._of(replica)
        pid = watched.process.pid if watched.process is not None else None
        backs_off = watched.phase is Phase.DOWN and watched.failures > 0
        state = "backing-off" if backs_off else watched.phase.name.lower()
        return Glance(state, pid, watched.restarts)

    def remove_logs(self, deployment_id: UUID) -> None:
        shutil.rmtree(self._folders.logs(deployment_id), ignore_errors=True)

    def _running(self) -> set[str]:
        """Names of what has a process, whether it was looked at yet or not."""
        found = {name for name, record in self._found.items() if adopt(record)}
        return found | {str(each) for each, watched in self._watched.items() if watched.process}

    def _of(self, replica: Replica) -> Watched:
        """Its memory; one that an earlier process of ours started is adopted at first sight."""
        watched = self._watched.get(replica.id)
        if watched is None:
            watched = self._watched[replica.id] = Watched(self._folders.log(replica))
            record = self._found.pop(str(replica.id), None)
            process = adopt(record) if record is not None else None
            if record is not None and process is not None:
                watched.begun(process, needs_of(record.argv), _now())
                self._await_end(replica, process)
                log.info("replica.adopted", **_about(replica), pid=process.pid)
                if self._isolation.isolates and not depth(record.argv):
                    self._crashed(replica, watched, "it is not isolated, as others are")
            elif record is not None:
                record.path.unlink(missing_ok=True)
        return watched

    async def _look(self, watch: Watch) -> Seen:
        replica, now = watch.replica, _now()
        watched = self._of(replica)
        process = watched.process
        if process is not None and not watched.ending:
            if not process.alive():
                watched.exit_status = await process.wait()
                self._crashed(replica, watched, "it ended")
            else:
                await self._examine(watch, watched, process)
        return Seen(
            replica=replica,
            phase=watched.phase,
            failures=watched.failures,
            due=now >= watched.due_at,
            overdue=now - watched.begun_at > self._policy.start.total_seconds(),
            needs=watched.needs,
        )

    async def _examine(self, watch: Watch, watched: Watched, process: Process) -> None:
        """Ask one that starts whenever it is looked at, and one that is ready now and then."""
        now = _now()
        ready = watched.phase is Phase.READY
        if ready and now - watched.looked_at < self._policy.probe.total_seconds():
            return None
        watched.looked_at = now
        if self._enforcement.starved(str(watch.replica.id)):
            return self._crashed(watch.replica, watched, "it needed more memory than its limit")
        present = workers(process.pid, below=depth(process.record.argv))
        if not watched.staffed(present, attempts=ATTEMPTS):
            return self._crashed(watch.replica, watched, "it lost its workers")
        answered = await self._probes.ok(
            watch.replica.url + (watch.livez if ready else watch.readyz)
        )
        if watched.process is process and not watched.ending:
            self._answered(watch.replica, watched, answered=answered)
        return None

    def _answered(self, replica: Replica, watched: Watched, *, answered: bool) -> None:
        now = _now()
        if answered:
            if watched.phase is Phase.STARTING:
                log.info("replica.ready", **_about(replica), seconds=now - watched.begun_at)
            watched.answered(now)
        elif watched.phase is Phase.READY:
            watched.misses += 1
            if watched.misses >= MISSES:
                self._crashed(replica, watched, "it no longer answers")

    def _crashed(self, replica: Replica, watched: Watched, why: str) -> None:
        watched.failed(_now())
        log.warning("replica.failed", **_about(replica), why=why, failures=watched.failures)
        self._end(replica, _CRASH_GRACE, gone=False)

    def _end(self, replica: Replica, grace: timedelta, *, gone: bool) -> None:
        watched = self._of(replica)
        if watched.ending:
            return
        if watched.process is None:
            watched.gone = gone
            return
        watched.ending = True
        self._jobs.put_nowait(partial(self._ended, replica, watched, grace, gone=gone))

    async def _ended(
        self, replica: Replica, watched: Watched, grace: timedelta, *, gone: bool
    ) -> None:
        process = watched.process
        if process is not None:
            await process.stop(grace)
            await self._enforcement.end(str(replica.id), weighed=watched.weighed)
        watched.process, watched.ready_at, watched.ending, watched.gone = None, None, False, gone
        self._woken(replica.deployment_id)

    def _await_end(self, replica: Replica, process: Process) -> None:
        async def wait() -> None:
            await process.wait()
            self._woken(replica.deployment_id)

        self._jobs.put_nowait(wait)


async def _awaited(job: Job) -> None:
    await job()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _about(replica: Replica) -> dict[str, object]:
    return {
        "deployment_id": str(replica.deployment_id),
        "revision_id": str(replica.revision_id),
        "replica_service": replica.service,
        "position": replica.position,
    }
