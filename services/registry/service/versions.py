"""Repositories, versions and what others ask about them; each use case is one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.blobs import Blob, BlobDamagedError
from libs.chassis.postgres import Database
from libs.contracts.identity import Person
from libs.contracts.registry import ModelReference, ResolvedBento
from services.registry.domain import Kind, Repository, Upload, Version, models_of
from services.registry.errors import (
    BlobNotFoundError,
    NotUploadedError,
    RepositoryNotFoundError,
    VersionExistsError,
    VersionNotFoundError,
    VersionVerifyingError,
)
from services.registry.query import WireQuery, compile_wire
from services.registry.service.tx import Tx
from services.registry.store import FIRST_OF_LIST
from services.registry.views import full_view

ALIAS: Final = "@"
_LOOKED_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list asks for. Without a repository: of the whole organisation."""

    repository_id: UUID | None = None
    query: WireQuery = field(default_factory=WireQuery)
    me: str = ""
    start: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Built:
    """An image, and the revision that asked for it, if one did."""

    digest: str
    revision_id: UUID | None


class Registry:
    def __init__(
        self, database: Database[Tx], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def repository(self, org_id: UUID, kind: Kind, name: str) -> Repository:
        async with self._database.read() as tx:
            found = await tx.store.repository(org_id, kind, name) if _storable(name) else None
        if found is None:
            raise RepositoryNotFoundError(f"there is no {kind} repository '{name}'")
        return found

    async def find(self, repository: Repository, version: str) -> Version:
        """By its name, ``latest``, or ``@`` and an alias."""
        async with self._database.read() as tx:
            if version.startswith(ALIAS):
                alias = await tx.aliases.one(repository.id, version.removeprefix(ALIAS))
                version = alias.version if alias else version
            found = await tx.store.version(repository.id, version) if _storable(version) else None
        if found is None:
            raise VersionNotFoundError(
                f"there is no {repository.kind} '{repository.name}:{version}'"
            )
        return found

    async def newest(
        self, org_id: UUID, kind: Kind, asked: Listing
    ) -> tuple[int, list[tuple[Repository, Version]]]:
        async with self._database.read() as tx:
            return await tx.store.newest(
                org_id,
                kind,
                repository_id=asked.repository_id,
                asked=compile_wire(asked.query, first=FIRST_OF_LIST, me=asked.me),
                start=asked.start,
                count=asked.count,
            )

    async def create_version(self, repository: Repository, draft: Version) -> Version:
        """A model that lives on a hub is complete at once: its bytes never come here."""
        status = Upload.SUCCESS if draft.lives_elsewhere else Upload.PENDING
        made = replace(draft, upload_status=status)
        async with self._database.transaction() as tx:
            if not await tx.store.add_version(made):
                raise VersionExistsError(f"'{repository.name}:{made.version}' exists already")
            await tx.facts.put(made)
            await tx.lineage.put(made)
            stored = await tx.store.version(repository.id, made.version)
        return stored or made

    def draft(
        self,
        repository: Repository,
        version: str,
        *,
        description: str,
        manifest: str,
        labels: tuple[tuple[str, str], ...],
        build_at: datetime,
        creator: Person | None = None,
    ) -> Version:
        """A version that is not stored yet."""
        now = self._clock()
        return Version(
            id=uuid7(),
            org_id=repository.org_id,
            repository_id=repository.id,
            version=version,
            description=description,
            manifest=manifest,
            labels=labels,
            build_at=build_at,
            created_at=now,
            updated_at=now,
            upload_status=Upload.PENDING,
            upload_reason="",
            upload_started_at=None,
            upload_finished_at=None,
            image_status="pending",
            digest=None,
            traceparent=None,
            seq=1,
            creator=creator,
        )

    async def revise(
        self,
        version: Version,
        *,
        description: str,
        manifest: str,
        labels: tuple[tuple[str, str], ...],
    ) -> Version:
        revised = replace(version, description=description, manifest=manifest, labels=labels)
        async with self._database.transaction() as tx:
            await tx.store.revise(revised, self._clock())
            await tx.facts.put(revised)
            await tx.lineage.put(revised)
            return await tx.store.lock(version.id)

    async def blob_of(self, version: Version) -> Blob:
        """The bytes of an uploaded version."""
        if version.digest is None and version.lives_elsewhere:
            raise NotUploadedError(f"the bytes of '{version.version}' are on a hub, not here")
        if version.upload_status == Upload.VERIFYING:
            raise VersionVerifyingError(version.version)
        if version.upload_status != Upload.SUCCESS or version.digest is None:
            reason = version.upload_reason or f"its upload is {version.upload_status}"
            raise NotUploadedError(f"'{version.version}' has no bytes: {reason}")
        return await self.blob(version.org_id, version.digest)

    async def size_of(self, version: Version) -> int:
        """Of its archive; 0 where it has none."""
        async with self._database.read() as tx:
            return await tx.blobs.size_of(version.digest)

    async def blob(self, org_id: UUID, digest: str) -> Blob:
        async with self._database.read() as tx:
            found = await tx.blobs.of_org(org_id, digest)
        if found is None:
            raise BlobNotFoundError(f"no version of this organisation has {digest}")
        blob, state = found
        if state == "damaged":
            raise BlobDamagedError(f"{digest} is damaged; push it again")
        return blob

    async def resolve(self, org_id: UUID, name: str, version: str) -> ResolvedBento:
        """A bento with everything it needs; refused while anything is missing."""
        repository = await self.repository(org_id, Kind.BENTO, name)
        bento = await self.find(repository, version)
        blob = await self.blob_of(bento)
        models = [await self._model(org_id, tag) for tag in models_of(bento.described)]
        return ResolvedBento(
            bento_id=bento.id,
            repository=repository.name,
            version=bento.version,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
            manifest=bento.described,
            models=tuple(models),
            pushed_traceparent=bento.traceparent,
            view=full_view(repository, bento),
        )

    async def _model(self, org_id: UUID, tag: str) -> ModelReference:
        name, _, version = tag.partition(":")
        try:
            repository = await self.repository(org_id, Kind.MODEL, name)
            model = await self.find(repository, version or "latest")
            blob = await self.blob_of(model)
        except (RepositoryNotFoundError, VersionNotFoundError, NotUploadedError) as error:
            raise NotUploadedError(f"the bento needs model '{tag}': {error.detail}") from error
        return ModelReference(
            model_id=model.id,
            repository=repository.name,
            version=model.version,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
        )

    async def look_after(self, bento: Version) -> None:
        """An operator says that it looks after the image: others leave it alone for a while."""
        async with self._database.transaction() as tx:
            await tx.store.image_synced(bento.id, self._clock())

    async def say_image(self, bento: Version, status: str) -> None:
        """As an operator found it; what our own builder does is said by its events."""
        async with self._database.transaction() as tx:
            await tx.store.image_status(bento.id, status)

    async def unsynced(self, org_id: UUID) -> list[tuple[Repository, Version]]:
        """Bentos without an image that no operator looks after, oldest first, a hundred at most."""
        async with self._database.read() as tx:
            return await tx.store.unsynced(org_id, since=self._clock() - _LOOKED_AFTER)

    async def image_status(
        self, bento_id: UUID, status: str, *, event_id: UUID, consumer: str, built: Built | None
    ) -> None:
        """Idempotent by event id."""
        async with self._database.transaction() as tx:
            if await tx.inbox.claim(consumer, event_id):
                await tx.store.image_status(bento_id, status)
                if built is not None:
                    await tx.lineage.built(bento_id, built.digest, built.revision_id)


def _storable(name: str) -> bool:
    """Postgres takes no NUL, so nothing is called so."""
    return "\0" not in name
