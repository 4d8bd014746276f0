"""Manifests of images and their tags: what is pushed has all that it needs, or is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from libs.chassis.postgres import Database
from libs.contracts.oci import OciCode
from services.registry.domain import Place
from services.registry.errors import OciRefusedError, OciUnknownError, TagImmutableError
from services.registry.manifests import Manifest, immutable_by, is_tag, read_manifest
from services.registry.service.oci import require_room
from services.registry.service.tx import Tx

_CANONICAL: Final = "sha256"
_NAMED: Final = 5
_LISTED: Final = 500
_LISTED_BYTES: Final = 3 * 2**20
"""Of a page of referrers: clients need not read more than 4 MiB, and JSON adds to it."""


@dataclass(frozen=True, slots=True)
class Page:
    """``last`` is where the next page goes on; None where there is none."""

    items: Sequence[Any]
    last: str | None


class OciManifests:
    """A reference is a tag, or a digest: the one of the two that has a colon."""

    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def find(self, place: Place, reference: str) -> Manifest:
        async with self._database.read() as tx:
            digest = await _resolved(tx, place, reference)
            manifest = await tx.manifests.one(place, digest) if digest else None
        if manifest is None:
            raise _unknown(place, reference)
        return manifest

    async def push(
        self, place: Place, reference: str, content: bytes, *, media_type: str
    ) -> Manifest:
        """All of it in one transaction: who sees the tag finds everything below it."""
        algorithm = _CANONICAL if is_tag(reference) else reference.partition(":")[0]
        manifest = read_manifest(content, media_type, algorithm=algorithm)
        if not is_tag(reference) and reference != manifest.digest:
            raise OciRefusedError(
                OciCode.DIGEST_INVALID, f"the bytes are those of {manifest.digest}"
            )
        async with self._database.transaction() as tx:
            await tx.manifests.alone(place)
            await _keep(tx, place, manifest)
            if is_tag(reference):
                if await tx.manifests.tagged(place, reference) not in {None, manifest.digest}:
                    await _require_movable(tx, place, [reference])
                await tx.manifests.move_tag(place, reference, manifest.digest)
        return manifest

    async def remove(self, place: Place, reference: str) -> None:
        """A tag leaves its manifest where it is; a manifest takes its tags along."""
        async with self._database.transaction() as tx:
            await tx.manifests.alone(place)
            digest = await _resolved(tx, place, reference)
            if digest is None or await tx.manifests.one(place, digest) is None:
                raise _unknown(place, reference)
            if is_tag(reference):
                await _require_movable(tx, place, [reference])
                await tx.manifests.remove_tag(place, reference)
                return
            await _require_movable(tx, place, await tx.manifests.tags_of(place, digest))
            size = await tx.manifests.remove(place, digest) or 0
            await tx.store.charge(place.org_id, reserved=0, committed=-size)

    async def tags(self, place: Place, *, after: str, count: int) -> Page:
        async with self._database.read() as tx:
            if not await tx.manifests.exists(place):
                detail = f"there is no repository {place.repository}"
                raise OciUnknownError(OciCode.NAME_UNKNOWN, detail)
            found = await tx.manifests.tags(place, after=after, count=count + 1)
        listed = found[:count]
        return Page(listed, listed[-1] if listed and len(found) > count else None)

    async def referrers(self, place: Place, subject: str, *, kind: str | None, after: str) -> Page:
        """Of a subject that nobody sent yet as well: signatures may come first."""
        async with self._database.read() as tx:
            found = await tx.manifests.referrers(
                place, subject, kind=kind, after=after, count=_LISTED, size=_LISTED_BYTES
            )
            last = found[-1]["digest"] if found else ""
            more = found and await tx.manifests.referrers(
                place, subject, kind=kind, after=last, count=1, size=0
            )
        return Page(found, last if more else None)

    async def rules(self, place: Place) -> list[str]:
        async with self._database.read() as tx:
            return await tx.manifests.patterns(place)

    async def rule(self, place: Place, patterns: Sequence[str]) -> None:
        """From now on; also for a repository that does not exist yet."""
        async with self._database.transaction() as tx:
            await tx.manifests.alone(place)
            await tx.manifests.rule(place, patterns)


async def _resolved(tx: Tx, place: Place, reference: str) -> str | None:
    return await tx.manifests.tagged(place, reference) if is_tag(reference) else reference


async def _keep(tx: Tx, place: Place, manifest: Manifest) -> None:
    await _require_references(tx, place, manifest)
    known = await tx.manifests.one(place, manifest.digest)
    if known is None:
        await require_room(tx, place, len(manifest.content))
        await tx.store.charge(place.org_id, reserved=0, committed=len(manifest.content))
        await tx.manifests.add(place, manifest)
    elif known.media_type != manifest.media_type:
        raise OciRefusedError(
            OciCode.MANIFEST_INVALID, f"{known.digest} is kept as {known.media_type!r}"
        )


async def _require_references(tx: Tx, place: Place, manifest: Manifest) -> None:
    """What an index lists may be blobs as well: caches of builders are such."""
    wanted = manifest.blobs | manifest.manifests
    held = await tx.manifests.held(place, blobs=wanted, manifests=manifest.manifests)
    missing = sorted(wanted - held)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise OciUnknownError(
            OciCode.MANIFEST_BLOB_UNKNOWN,
            f"{place.repository} lacks {', '.join(missing[:_NAMED])}{more}",
        )


async def _require_movable(tx: Tx, place: Place, tags: Sequence[str]) -> None:
    patterns = await tx.manifests.patterns(place)
    for tag in tags:
        rule = immutable_by(patterns, tag)
        if rule is not None:
            raise TagImmutableError(place.repository, tag, rule=rule)


def _unknown(place: Place, reference: str) -> OciUnknownError:
    return OciUnknownError(
        OciCode.MANIFEST_UNKNOWN, f"{place.repository} has no manifest {reference[:200]}"
    )
