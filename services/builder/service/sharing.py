"""Layers of buildah's that builders share through the platform's registry."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from libs.chassis.client import OrgRef
from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Database
from services.builder.errors import BuildFailedError
from services.builder.oci import Door, Remote
from services.builder.service.tx import Tx

REPOSITORY: Final = "cache/buildah"
"""Of each organisation, in which its builds leave layers for others of its own."""
_MOST: Final = 1000
"""That one sweep removes: the next one comes within the hour."""

log = structlog.get_logger(__name__)


class SharedLayers:
    """The registry does not tell when a tag was used, so what passes the doors is noted."""

    def __init__(self, database: Database[Tx], home: Callable[[OrgRef], Remote]) -> None:
        self._database = database
        self._home = home

    @asynccontextmanager
    async def door(self, org: OrgRef) -> AsyncIterator[Door]:
        """For one build of the organisation's, which opens it."""
        door = self._home(org).door(REPOSITORY)
        try:
            yield door
        finally:
            if door.used:
                async with self._database.transaction() as tx:
                    await tx.shared.note(org.org_id, org.org, door.used)

    async def sweep(self, unused: timedelta) -> int:
        """How many were removed that nobody has used for so long. Trouble is for the next time."""
        async with self._database.read() as tx:
            found = await tx.shared.unused(unused, most=_MOST)
        for number, (org_id, org, tag) in enumerate(found):
            try:
                await self._home(OrgRef(org_id, org)).remove(REPOSITORY, tag)
            except (ServiceError, BuildFailedError) as error:
                log.warning("layers.not_removed", why=str(error), left=len(found) - number)
                return number
            async with self._database.transaction() as tx:
                await tx.shared.forget(org_id, tag, unused)
        return len(found)
