"""Events the builder publishes."""

from typing import ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from libs.contracts.event import Event
from libs.contracts.types import Digest, ErrorText, Slug

ImageKind = Literal["environment", "oci"]
_STEPS: Final = 64


class BuildStep(BaseModel):
    """One part of a build. ``seconds`` is null where it had not ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(max_length=100)
    seconds: float | None = Field(ge=0)


class _Ended(Event):
    """How it was made. Builds that ended before this was told have none of it."""

    strategy: Slug | None = Field(None, description="`environment`, `assemble`, …; null: unplanned")
    plan_digest: Digest | None = Field(None, description="of the plan; the same makes the same")
    steps: tuple[BuildStep, ...] = Field((), max_length=_STEPS)
    layers_pushed: int = Field(0, ge=0, description="made and sent to the registry")
    layers_reused: int = Field(0, ge=0, description="found there")


class ImageRequested(Event):
    """Somebody needs an image that did not exist yet; its build is queued."""

    name: ClassVar[str] = "image.requested"

    build_id: UUID
    bento_id: UUID
    bento: str = Field(description="`repository:version`")
    bento_digest: Digest = Field(description="of the archive that is built")
    kind: ImageKind = Field(description="a directory on this machine, or a container image")
    strategy: Slug | None = Field(None, description="that was asked for; null: the plan chooses")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.build_id


class ImageBuilt(_Ended):
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


class ImageFailed(_Ended):
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
