"""What a build is given in secret: asked for when it is used, and kept by nobody."""

from collections.abc import Mapping
from dataclasses import replace

from libs.chassis.client import OrgRef
from services.builder import plan
from services.builder.domain import Asked, Given, Strategy
from services.builder.service.job import Job
from services.builder.upstream import Deployer


class Giving:
    """``key`` makes marks of values, which this builder alone can make."""

    def __init__(self, deployer: Deployer, key: bytes) -> None:
        self._deployer = deployer
        self._key = key

    async def give(self, job: Job, asked: Asked, strategy: Strategy) -> Job:
        """The job with what its strategy uses; a log of it shows none of the values."""
        match strategy:
            case Strategy.PREBUILT:
                return job
            case Strategy.BUILDAH:
                return await self._to_commands(job, asked)
            case Strategy.ASSEMBLE | Strategy.ENVIRONMENT:
                return await self._to_uv(job, asked)

    async def _to_commands(self, job: Job, asked: Asked) -> Job:
        variables = plan.of_manifest(asked) | await self._opened(job)
        plan.require_for_commands(asked, variables)
        return self._with(job, variables)

    async def _to_uv(self, job: Job, asked: Asked) -> Job:
        found = plan.of_manifest(asked) | await self._opened(job, plan.INDEX_BEGINNINGS)
        for line in plan.require_for_uv(asked, found):
            job.progress.note(line)
        return self._with(job, plan.for_uv(found))

    async def _opened(self, job: Job, beginnings: tuple[str, ...] = ()) -> dict[str, str]:
        order = job.order
        if not order.wish.secrets:
            return {}
        org = OrgRef(order.org_id, order.org)
        return await self._deployer.opened(order.wish.secrets, beginnings, org)

    def _with(self, job: Job, variables: Mapping[str, str]) -> Job:
        if not variables:
            return job
        org_id = job.order.org_id
        given = Given(
            variables,
            marks=plan.marks(self._key, org_id, variables),
            places=plan.marks(self._key, org_id, plan.places(variables)),
            cache=job.work / "uv-cache",
        )
        job.progress.hide(given)
        job.progress.note(f"given in secret: {given.names}")
        return replace(job, given=given)
