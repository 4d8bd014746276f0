"""What lies beside an image: its bill of materials, how it was made, and who says so."""

import asyncio
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog

from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Database
from libs.contracts.mediatypes import OCI_INDEX, OCI_MANIFEST
from services.builder import plan
from services.builder.domain import Contents, Due, Order
from services.builder.errors import BuildFailedError, SupplyError
from services.builder.layers import read_contents
from services.builder.oci import Descriptor
from services.builder.oci.manifests import descriptor_of, document_of, listed
from services.builder.service.about import About, Platform, plans_of, subject_of
from services.builder.service.pushing import Destination
from services.builder.service.tx import Tx
from services.builder.supply.attachments import Documents, attachments
from services.builder.supply.manifests import Target
from services.builder.supply.pem import SigningKey
from services.builder.supply.values import Base
from services.builder.upstream import save

_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_ATTEMPTS: Final = 50

log = structlog.get_logger(__name__)


class Attesting:
    """``key`` signs; without one images have a bill and a provenance that anybody could write."""

    def __init__(
        self,
        database: Database[Tx],
        *,
        destination: Callable[[Order], Destination],
        scratch: Path,
        key: SigningKey | None = None,
    ) -> None:
        self._database = database
        self._destination = destination
        self._scratch = scratch
        self._key = key

    async def turn(self) -> bool:
        """One image, attested or put off; False when none is due. Repeated, it changes nothing."""
        async with self._database.read() as tx:
            due = await tx.attestations.due()
        if due is None:
            return False
        try:
            await self._attest(due)
        except ServiceError as error:
            await self._put_off(due, error.detail)
        except (BuildFailedError, SupplyError) as error:
            log.warning("image.not_attested", digest=due.image_digest, why=str(error))
            await self._end(due, "failed")
        except Exception as error:  # whatever it is, other images are not to wait for this one
            log.exception("image.attesting_crashed", digest=due.image_digest)
            await self._put_off(due, f"{type(error).__name__}: {error}")
        else:
            await self._end(due, "done")
        return True

    async def _attest(self, due: Due) -> None:
        to = self._destination(due.order)
        described, body = await to.remote.manifest(to.repository, due.image_digest)
        platforms = [await self._platform(due, each) for each in plans_of(due)]
        about = About(due, subject_of(to, described), tuple(platforms))
        if described.media_type != OCI_INDEX:
            await self._image(to, described, about, manifest=body)
            return
        by_name = {each.name: each for each in platforms}
        for each in listed(body):
            _, manifest = await to.remote.manifest(to.repository, each.digest)
            one = About(due, subject_of(to, each), (by_name[str(each.platform)],))
            await self._image(to, each, one, manifest=manifest)
        await self._push(to, described, about, documents=Documents(about.statement()))

    async def _image(
        self, to: Destination, described: Descriptor, about: About, *, manifest: bytes
    ) -> None:
        org_id = about.due.order.org_id
        layers = [descriptor_of(each) for each in document_of(manifest)["layers"]]
        read = [await self._contents(org_id, to, each) for each in layers]
        bill = await asyncio.to_thread(about.bill, read)
        lock = about.platforms[0].lock.encode() or None
        documents = Documents(about.statement(), bill, lock)
        await self._push(to, described, about, documents=documents)

    async def _push(
        self, to: Destination, described: Descriptor, about: About, *, documents: Documents
    ) -> None:
        target = Target(described.media_type, described.digest, described.size)
        made = await asyncio.to_thread(attachments, target, about.subject, documents, key=self._key)
        for artifact in made:
            for blob in artifact.blobs:
                await to.remote.push_bytes(to.repository, blob.data)
            name = artifact.tag or artifact.digest
            await to.remote.put_manifest(to.repository, name, artifact.manifest, OCI_MANIFEST)

    async def _platform(self, due: Due, planned: dict[str, Any]) -> Platform:
        if "python" not in planned:
            return Platform(planned["platform"])
        python, order = planned["python"]["version"], due.order
        key = plan.platform_of_uv(planned["platform"], planned["libc"])
        async with self._database.read() as tx:
            lock = await tx.recipes.lock((order.org_id, order.bento_digest, python, key))
        base = Base(reference=planned["base"], digest=planned["base_digest"])
        return Platform(planned["platform"], base, python, lock or "")

    async def _contents(self, org_id: UUID, to: Destination, layer: Descriptor) -> Contents:
        async with self._database.read() as tx:
            known = await tx.attestations.contents(org_id, layer.digest)
        if known is not None:
            return known
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            file = Path(folder, "layer")
            await save(to.remote.blob(to.repository, layer.digest, size=layer.size), file)
            found = await asyncio.to_thread(read_contents, file, layer.media_type)
        async with self._database.transaction() as tx:
            await tx.attestations.keep_contents(org_id, layer.digest, found)
        return found

    async def _end(self, due: Due, how: str) -> None:
        async with self._database.transaction() as tx:
            await tx.attestations.end(due.order.id, how)

    async def _put_off(self, due: Due, why: str) -> None:
        log.warning("image.attested_later", digest=due.image_digest, why=why)
        if due.attempts >= _ATTEMPTS:
            await self._end(due, "failed")
            return
        pause = min(_PAUSE * 2 ** min(due.attempts, 10), _LONGEST_PAUSE)
        async with self._database.transaction() as tx:
            await tx.attestations.put_off(due.order.id, pause)
