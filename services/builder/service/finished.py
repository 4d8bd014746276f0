"""Images that were built before: found by their plan, and named once more."""

from uuid import UUID

from libs.chassis.postgres import Database
from services.builder.domain import Made
from services.builder.service.pushing import Destination
from services.builder.service.tx import Tx


class Finished:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def find(self, org_id: UUID, plan_digest: str, to: Destination) -> Made | None:
        """The image of the same plan, under the name that is asked for; None if it is gone.

        Looked for by its digest: a list of tags says neither what they are nor that they stay.
        """
        async with self._database.read() as tx:
            known = await tx.recipes.image(org_id, plan_digest)
        if known is None or (known.registry, known.repository) != (to.registry, to.repository):
            return None
        tagged = await to.remote.find(to.repository, to.tag)
        if tagged is None or tagged.digest != known.digest:
            if await to.remote.find(to.repository, known.digest) is None:
                return None
            described, body = await to.remote.manifest(to.repository, known.digest)
            await to.remote.put_manifest(to.repository, to.tag, body, described.media_type)
        return Made(known.digest, known.size_bytes, to.repository, to.tag, to.registry)

    async def keep(self, org_id: UUID, plan_digest: str, made: Made) -> None:
        async with self._database.transaction() as tx:
            await tx.recipes.keep_image(org_id, plan_digest, made)
