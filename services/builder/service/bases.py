"""Images that others are built on: pinned once, kept in the registry, read for what they offer."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Database
from services.builder import plan
from services.builder.domain import BaseImage, Layer, PinnedBase
from services.builder.errors import (
    BaseImageNotFoundError,
    BuildFailedError,
    RegistryUnreachableError,
)
from services.builder.oci import (
    Platform,
    Reference,
    ReferenceInvalidError,
    Registries,
    Remote,
    open_layout,
    parse_platform,
    parse_reference,
)
from services.builder.oci.copying import copy, images_of
from services.builder.oci.export import export
from services.builder.service.looking import Looking
from services.builder.service.pushing import Pushing
from services.builder.service.tx import Tx

_ROOT: Final = "base"


class Bases:
    """``home`` is the platform's own registry, as an organisation sees it."""

    def __init__(
        self,
        database: Database[Tx],
        home: Callable[[OrgRef], Remote],
        *,
        registries: Registries,
        looking: Looking,
    ) -> None:
        self._database = database
        self._home = home
        self._registries = registries
        self._looking = looking

    @property
    def scratch(self) -> Path:
        """For files that nobody needs when whoever put them there is done."""
        return self._looking.work

    async def require(
        self, org: OrgRef, reference: str, platform: str, *, digest: str | None = None
    ) -> BaseImage:
        """The pinned one; pulled now when there is none yet. Or that of a ``digest``, still here.

        Raises ``BuildFailedError`` that says how it is had.
        """
        name = _parsed(reference)
        async with self._database.read() as tx:
            base = await tx.recipes.base(org.org_id, str(name), platform)
        if base is not None and digest in {None, base.digest}:
            return base
        if digest is not None:
            home, repository = self._home(org), repository_of(name)
            found = await self._looking.look(
                home, repository, str(name), digest=digest, platform=platform
            )
            return found.base
        try:
            pulled = await self.pull(org, reference, (platform,))
        except (RegistryUnreachableError, BuildFailedError) as error:
            why = error.detail if isinstance(error, RegistryUnreachableError) else error.reason
            raise BuildFailedError(
                "base-image-absent",
                f"{name} for {platform} is not here, and could not be pulled: {why}\n"
                f"Import it with `yokocho base-images import {reference} FILE`.",
            ) from error
        return pulled[0]

    async def place(self, org: OrgRef, base: BaseImage, pushing: Pushing) -> Sequence[Layer]:
        """The base image's layers, in the repository of an image that is made on it."""
        key = plan.digest(["base", base.digest])
        if (known := await pushing.known(key)) is not None:
            return known
        source = repository_of(_parsed(base.reference))
        home = self._home(org)

        async def place(layer: Layer) -> None:
            if not await pushing.has(layer, source):
                await pushing.copy(layer, home, source)

        async with asyncio.TaskGroup() as group:
            for layer in base.layers:
                group.create_task(place(layer))
        await pushing.keep(key, base.layers)
        return base.layers

    async def layout(self, org: OrgRef, base: BaseImage, folder: Path) -> Path:
        """As files, for those that build on it with other programs."""
        repository = repository_of(_parsed(base.reference))
        place = folder / base.digest.partition(":")[2]
        await export(self._home(org), repository, base.digest, folder=place)
        return place

    async def pull(
        self, org: OrgRef, reference: str, platforms: Sequence[str]
    ) -> Sequence[BaseImage]:
        """From where it is published, as it is there now: pins it, or pins it anew."""
        name = _parsed(reference)
        remote, home = self._registries.remote(name.registry), self._home(org)
        wanted = [parse_platform(each) for each in platforms]
        tag = name.digest or name.tag or "latest"
        found = await images_of(remote, name.repository, tag, platforms=wanted)
        pinned = []
        for platform, described, manifest in found:
            here = repository_of(name)
            await copy(remote, home, manifest, source=name.repository, target=here)
            await home.put_manifest(here, described.digest, manifest, described.media_type)
            pinned.append(
                await self._adopt(org, name, platform, digest=described.digest, source="pull")
            )
        return pinned

    async def bring(self, org: OrgRef, reference: str, file: Path) -> Sequence[BaseImage]:
        """Pins what an OCI layout or a docker archive holds, for every platform in it."""
        name, home = _parsed(reference), self._home(org)
        pinned = []
        async with open_layout(file) as layout:
            for image in layout.images:
                digest = await layout.push(
                    image, home, repository=repository_of(name), reference=image.descriptor.digest
                )
                pinned.append(
                    await self._adopt(org, name, image.platform, digest=digest, source="import")
                )
        return pinned

    async def all(self, org_id: UUID) -> Sequence[PinnedBase]:
        async with self._database.read() as tx:
            return await tx.recipes.bases(org_id)

    async def forget(self, org_id: UUID, reference: str) -> None:
        """Images that were built on it keep its layers."""
        name = str(_parsed(reference))
        async with self._database.transaction() as tx:
            if not await tx.recipes.unpin(org_id, name):
                raise BaseImageNotFoundError(name)

    async def _adopt(
        self, org: OrgRef, name: Reference, platform: Platform, *, digest: str, source: str
    ) -> BaseImage:
        found = await self._looking.look(
            self._home(org), repository_of(name), str(name), digest=digest, platform=str(platform)
        )
        async with self._database.transaction() as tx:
            await tx.recipes.pin(org.org_id, found.base, source=source)
            for layer, contents in found.contents:
                await tx.attestations.keep_contents(org.org_id, layer, contents)
        return found.base


def repository_of(reference: Reference) -> str:
    """Where a base image is kept in the platform's own registry."""
    host = reference.registry.replace(":", "-").lower()
    return f"{_ROOT}/{host}/{reference.repository}"


def _parsed(reference: str) -> Reference:
    try:
        return parse_reference(reference)
    except ReferenceInvalidError as error:
        raise BuildFailedError("base-image-invalid", str(error)) from error
