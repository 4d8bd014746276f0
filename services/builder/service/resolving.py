"""What a bento is and needs: described once, locked once; later builds read it."""

import asyncio
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from libs.chassis.postgres import Database
from services.builder import plan
from services.builder.domain import Described, Interpreter, Target
from services.builder.environments import NeedsBuildingError, Uv
from services.builder.errors import BuildFailedError
from services.builder.service.job import Job
from services.builder.service.tx import Tx

_DESCRIPTION_BYTES: Final = 16 * 2**20
_REQUIREMENTS: Final = ("env/python/requirements.lock.txt", "env/python/requirements.txt")
"""The first that is there: clients before 1.3 write a lock beside what they were told."""
DOCKERFILE: Final = "env/docker/Dockerfile"
ENTRYPOINT: Final = "env/docker/entrypoint.sh"
_FILES: Final = (DOCKERFILE, ENTRYPOINT)

_NOT_ISOLATED: Final = (
    "a package has to be built from source, which runs its code; several organisations build here,"
    " and what runs is not isolated from them: `yokocho doctor` says why"
)


class Resolving:
    def __init__(self, database: Database[Tx], uv: Uv) -> None:
        self._database = database
        self._uv = uv

    async def describe(self, job: Job) -> Described:
        order = job.order
        async with self._database.read() as tx:
            known = await tx.recipes.described(order.org_id, order.bento_digest)
        if known is not None:
            return known
        described = await asyncio.to_thread(_describe, await job.bento())
        async with self._database.transaction() as tx:
            await tx.recipes.describe(order.org_id, order.bento_digest, described)
        return described

    async def lock(self, job: Job, requirements: str, chosen: Interpreter | Target) -> str:
        """The first that was made for this bento, or for others with the same pinned lines.

        Of the indexes that its secrets name, whatever opens them.
        """
        plan.require_harmless(requirements)
        order, places = job.order, job.given.places
        bento = plan.digest([order.bento_digest, *places]) if places else order.bento_digest
        key = (order.org_id, bento, chosen.version, chosen.platform)
        async with self._database.read() as tx:
            known = await tx.recipes.lock(key)
        if known is not None:
            return known
        lines = (
            order.org_id,
            plan.digest([requirements, *places]),
            chosen.version,
            chosen.platform,
        )
        pinned = plan.is_pinned(requirements)
        async with self._database.read() as tx:
            body = await tx.recipes.pinned(lines) if pinned else None
        if body is None:
            body = await self._compile(job, requirements, chosen)
        async with self._database.transaction() as tx:
            if pinned:
                await tx.recipes.keep_pinned(lines, body)
            return await tx.recipes.keep_lock(key, body)

    async def require_isolation(self) -> None:
        """Before code of packages runs: with several organisations nobody's may see the others'."""
        if self._uv.isolates:
            return
        async with self._database.read() as tx:
            if await tx.builds.organisations() > 1:
                raise BuildFailedError("isolation-missing", _NOT_ISOLATED)

    async def _compile(self, job: Job, requirements: str, chosen: Interpreter | Target) -> str:
        """From what wheels say of themselves; else with code of packages run."""
        uv, log = self._uv, job.progress.log
        try:
            for line in plan.need_building(requirements):
                _refuse(line)
            return await uv.compile(requirements, chosen, job.work, log=log, given=job.given)
        except NeedsBuildingError:
            if isinstance(chosen, Target):
                raise
        await self.require_isolation()
        given, org = job.given, job.order.org_id
        return await uv.compile(requirements, chosen, job.work, log=log, given=given, built_for=org)


def _refuse(line: str) -> NoReturn:
    raise NeedsBuildingError(line)


def _describe(bento: Path) -> Described:
    found = next((bento / each for each in _REQUIREMENTS if (bento / each).is_file()), None)
    brings = [*bento.glob("env/python/wheels/*"), *bento.glob("src/wheels/*")]
    return Described(
        manifest=_manifest(bento),
        requirements=_text(found) if found is not None else "",
        brings=tuple(sorted(each.relative_to(bento).as_posix() for each in brings)),
        files=tuple(each for each in _FILES if (bento / each).is_file()),
    )


def _manifest(bento: Path) -> dict[str, Any]:
    try:
        manifest = yaml.safe_load(_text(bento / "bento.yaml"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BuildFailedError("archive-invalid", f"bento.yaml cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise BuildFailedError("archive-invalid", "bento.yaml is no mapping")
    return {str(name): value for name, value in manifest.items() if name not in _UNNEEDED}


_UNNEEDED: Final = frozenset({"schema", "apis", "services", "creation_time"})
"""Large, and of no consequence for the image."""


def _text(file: Path) -> str:
    if file.stat().st_size > _DESCRIPTION_BYTES:
        raise BuildFailedError("archive-invalid", f"{file.name} is larger than 16 MiB")
    return file.read_text(errors="replace")
