"""Rules of repositories: which versions stay, and what the others are told."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Database
from services.registry.domain import Repository, Retention
from services.registry.errors import VersionHeldError
from services.registry.plan import Verdict, judge
from services.registry.service.deletion import Deletion
from services.registry.service.tx import Tx

ACTOR: Final = "service:registry"
_log = structlog.get_logger()


class Retentions:
    def __init__(
        self,
        database: Database[Tx],
        deletion: Deletion,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._deletion = deletion
        self._clock = clock

    async def rule(self, repository: Repository) -> Retention | None:
        async with self._database.read() as tx:
            return await tx.retention.one(repository.id)

    async def put(self, repository: Repository, rule: Retention, *, actor: str) -> None:
        async with self._database.transaction() as tx:
            await tx.retention.put(repository.id, rule, actor=actor, now=self._clock())

    async def remove(self, repository: Repository) -> None:
        async with self._database.transaction() as tx:
            await tx.retention.remove(repository.id)

    async def plan(self, repository: Repository, rule: Retention) -> list[Verdict]:
        """What ``rule`` would do now."""
        async with self._database.read() as tx:
            versions = await tx.retention.versions(repository.id)
            holders = {each.id: await tx.trash.holders([each.id]) for each in versions}
        return judge(rule, versions, holders=holders, now=self._clock())

    async def apply_all(self) -> int:
        """Every rule that there is; how many versions went to the trash."""
        async with self._database.read() as tx:
            rules = await tx.retention.all()
        gone = 0
        for repository, rule in rules:
            cause = Cause(ACTOR, repository.org_id, correlation_id=f"retention {repository.id}")
            with bound(cause):
                gone += await self._apply(repository, rule)
        return gone

    async def _apply(self, repository: Repository, rule: Retention) -> int:
        gone = 0
        for verdict in await self.plan(repository, rule):
            if not verdict.goes:
                continue
            try:
                await self._deletion.delete(
                    repository, verdict.version, actor=ACTOR, reason="retention"
                )
            except VersionHeldError:
                continue  # held since it was judged
            gone += 1
            _log.info(
                "version.expired",
                repository=repository.name,
                version=verdict.version.version,
                reason=verdict.reason,
            )
        return gone
