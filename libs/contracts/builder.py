"""Events the builder publishes."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from libs.contracts.event import Event
from libs.contracts.types import Digest, ErrorText, Slug

ImageKind = Literal["environment", "oci"]


class ImageRequested(Event):
    """Somebody needs an image that did not exist yet; its build is queued."""

    name: ClassVar[str] = "image.requested"

    build_id: UUID
    bento_id: UUID
    bento: str = Field(description="`repository:version`")
    bento_digest: Digest = Field(description="of the archive that is built")
    kind: ImageKind = Field(description="a directory on this machine, or a container image")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.build_id


class ImageBuilt(Event):
    """An image is complete and immutable. Said once per request, at once when it existed."""

    name: ClassVar[str] = "image.built"

    build_id: UUID
    bento_id: UUID
    bento_digest: Digest = Field(description="of the archive that is built")
    kind: ImageKind
    uri: str = Field(max_length=2048, description="`file://` directory or OCI reference")
    digest: Digest = Field(description="of everything that went into the image")
    folder: str | None = Field(
        default=None,
        max_length=2048,
        description="of a container image for this machine: `file://` directory with the image's "
        "`config.json` and what is in it, unpacked, as `rootfs`",
    )
    reused: bool = Field(description="true when no work was needed")
    seconds: float = Field(ge=0, description="from its start to its end; 0 when reused")
    revision_id: UUID | None = Field(description="the revision that asked, if one did")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.build_id


class ImageFailed(Event):
    """A build ended without an image. ``reason`` holds the failing tool's own words."""

    name: ClassVar[str] = "image.failed"

    build_id: UUID
    bento_id: UUID
    bento_digest: Digest = Field(description="of the archive that is built")
    code: Slug = Field(description="what sort of failure, for programs")
    reason: ErrorText = Field(description="the failing tool's own words")
    revision_id: UUID | None = Field(description="the revision that asked, if one did")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.build_id
