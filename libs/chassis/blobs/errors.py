"""What any store of blobs can refuse."""

from typing import ClassVar

from libs.chassis.errors import Kind, ServiceError


class NoSpaceError(ServiceError):
    kind: ClassVar[Kind] = Kind.NO_SPACE
    code: ClassVar[str] = "no-space"
    title: ClassVar[str] = "There is not enough space left"

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(
            f"no space left: {needed} bytes are needed, {max(free, 0)} are free; "
            "make room and push again",
            needed=needed,
            free=max(free, 0),
        )


class BlobDamagedError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "blob-damaged"
    title: ClassVar[str] = "Stored bytes are not those that were received"

    def __init__(self, detail: str, *, at: int = 0) -> None:
        """``at``: where the damage begins, as far as it is known."""
        super().__init__(detail)
        self.at = at


class BlobsUnavailableError(ServiceError):
    """The store did not answer, or not as it should. Nothing is lost; asking again may help."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "blobs-unavailable"
    title: ClassVar[str] = "The store of blobs does not answer"


class BlobsRefusedError(ServiceError):
    """The store answers, and will not do it however often it is asked."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "blobs-refused"
    title: ClassVar[str] = "The store of blobs refuses"
