"""What the builder can refuse, and how a build can end without an image."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from libs.chassis.errors import Kind, ServiceError


class BuildNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "build-not-found"
    title: ClassVar[str] = "There is no such build"

    def __init__(self, build: str) -> None:
        super().__init__(f"the organisation has no build {build[:64]!r}")


class BuildEndedError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "build-ended"
    title: ClassVar[str] = "The build has ended already"

    def __init__(self, build: str, status: str) -> None:
        super().__init__(f"build {build} has ended: {status}", status=status)


class ImageGoneError(ServiceError):
    kind: ClassVar[Kind] = Kind.GONE
    code: ClassVar[str] = "image-gone"
    title: ClassVar[str] = "The image is not there any more"

    def __init__(self, digest: str) -> None:
        super().__init__(f"image {digest} is not there", image_digest=digest)


class HoldInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "hold-invalid"
    title: ClassVar[str] = "The path of a hold names no revision"

    def __init__(self, revision: str) -> None:
        super().__init__(f"{revision[:64]!r} is no revision id: {UUID(int=0)} is the form")


class IndexUnreachableError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "index-unreachable"
    title: ClassVar[str] = "The package index does not answer"

    def __init__(self, words: str) -> None:
        super().__init__(f"uv could not reach the package index:\n{words}")


class BentoIncompleteError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "bento-incomplete"
    title: ClassVar[str] = "The bento waits for something that it needs"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class BuilderFullError(ServiceError):
    kind: ClassVar[Kind] = Kind.NO_SPACE
    code: ClassVar[str] = "builder-full"
    title: ClassVar[str] = "The builder's disk is full"

    def __init__(self, words: str) -> None:
        super().__init__(f"the builder has no room left: {words}")


class RegistryUnreachableError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "registry-unreachable"
    title: ClassVar[str] = "The image registry does not answer as it should"

    def __init__(self, registry: str, why: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(f"{registry}: {why}", retry_after=retry_after, registry=registry)


class RegistryFullError(ServiceError):
    kind: ClassVar[Kind] = Kind.NO_SPACE
    code: ClassVar[str] = "registry-full"
    title: ClassVar[str] = "The image registry takes no more"

    def __init__(self, registry: str, why: str) -> None:
        super().__init__(f"{registry}: {why}", registry=registry)


class BaseImageNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "base-image-not-found"
    title: ClassVar[str] = "There is no such base image"

    def __init__(self, reference: str) -> None:
        super().__init__(f"the organisation has pinned no base image {reference[:300]!r}")


class BaseImageRefusedError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "base-image-refused"
    title: ClassVar[str] = "That is no image to build on"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class VerificationRefusedError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "verification-refused"
    title: ClassVar[str] = "The image cannot be verified"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class NeedsCommandsError(Exception):
    """An image cannot be assembled: something has to be run. Its text is a sentence about why."""


class OutOfTurnError(Exception):
    """Another build is making just what this one needs."""


class BuildFailedError(Exception):
    """A build cannot succeed, however often it is tried."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LayersAbsentError(BuildFailedError):
    """A registry does not have what a manifest names."""

    def __init__(self, reason: str) -> None:
        super().__init__("registry-refused", reason)


class SupplyError(Exception):
    """What belongs to an image's supply chain cannot be read, or is not what it should be."""
