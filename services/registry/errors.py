"""What the registry can refuse."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from libs.chassis.errors import Kind, ServiceError
from libs.contracts.oci import OciCode


class RepositoryNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "repository-not-found"
    title: ClassVar[str] = "No such repository"


class VersionNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "version-not-found"
    title: ClassVar[str] = "No such version"


class VersionExistsError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "version-exists"
    title: ClassVar[str] = "The version exists already"


class NotUploadedError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "version-not-uploaded"
    title: ClassVar[str] = "The bytes of the version are not there"


class ArchiveRefusedError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "archive-refused"
    title: ClassVar[str] = "The archive cannot be accepted"


class QueryRefusedError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "query-refused"
    title: ClassVar[str] = "The query cannot be honoured"

    def __init__(self, detail: str, *, at: int | None = None) -> None:
        """``at``: the place in the text, counted from 0."""
        if at is None:
            super().__init__(detail)
        else:
            super().__init__(detail, at=at)


class AliasNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "alias-not-found"
    title: ClassVar[str] = "No such alias"


class AliasElsewhereError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "alias-elsewhere"
    title: ClassVar[str] = "The alias points to another version than expected"

    def __init__(self, alias: str, current: str | None) -> None:
        said = f"'{current}'" if current else "nothing"
        super().__init__(
            f"'{alias}' points to {said} now: look, and move it from there", current=current
        )


class FileNotInArchiveError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "file-not-found"
    title: ClassVar[str] = "No such file in the version"


class BlobNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "blob-not-found"
    title: ClassVar[str] = "No such blob"


class VersionHeldError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "version-held"
    title: ClassVar[str] = "Something needs the version"

    def __init__(self, holders: Sequence[tuple[str, str]]) -> None:
        """``holders``: kind and name of each, at most a hundred."""
        said = ", ".join(f"{kind} {name}" for kind, name in holders[:5])
        more = f" and {len(holders) - 5} more" if len(holders) > 5 else ""  # noqa: PLR2004 - as many as are named
        super().__init__(
            f"it is needed by {said}{more}: release it there first",
            holders=[{"kind": kind, "name": name} for kind, name in holders],
        )


class NotInTrashError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "not-in-trash"
    title: ClassVar[str] = "No such version is in the trash"


class RetentionInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "retention-invalid"
    title: ClassVar[str] = "The rule would keep nothing"


class CollectionBrakedError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "collection-braked"
    title: ClassVar[str] = "Collecting would take more than anybody can explain"

    def __init__(self, wanted: int) -> None:
        super().__init__(
            f"{wanted} bytes would go of which nobody let go: look at the plan, and force it "
            "when they are really not needed",
            bytes=wanted,
        )


class QuotaExceededError(ServiceError):
    kind: ClassVar[Kind] = Kind.NO_SPACE
    code: ClassVar[str] = "quota-exceeded"
    title: ClassVar[str] = "The organisation may not store that much"

    def __init__(self, needed: int, *, used: int, maximum: int) -> None:
        super().__init__(
            f"the organisation may store {maximum} bytes and uses {used}, so there is no room "
            f"for {needed} more",
            needed=needed,
            used=used,
            maximum=maximum,
        )


class TransferUnknownError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "transfer-unknown"
    title: ClassVar[str] = "No such upload is under way"


class VersionVerifyingError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "version-verifying"
    title: ClassVar[str] = "The bytes are still being verified"

    def __init__(self, version: str) -> None:
        super().__init__(
            f"the bytes of '{version}' have come and are being verified: ask again in a moment",
            retry_after=timedelta(seconds=5),
        )


class UploadLostError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "upload-lost"
    title: ClassVar[str] = "The upload is no longer the version's own"


class UploadBusyError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "upload-busy"
    title: ClassVar[str] = "Somebody else is sending bytes to this upload"


class OciUnknownError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "oci-unknown"
    title: ClassVar[str] = "The repository of images has no such thing"

    def __init__(self, oci: OciCode, detail: str) -> None:
        super().__init__(detail, oci=oci.value)
        self.oci = oci


class OciRefusedError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "oci-refused"
    title: ClassVar[str] = "What was sent to the repository of images cannot be accepted"

    def __init__(self, oci: OciCode, detail: str) -> None:
        super().__init__(detail, oci=oci.value)
        self.oci = oci


class OciRangeError(OciRefusedError):
    """A piece that does not begin where the last one ended."""

    def __init__(self, detail: str, *, received: int) -> None:
        super().__init__(OciCode.BLOB_UPLOAD_INVALID, detail)
        self.received = received


class TagImmutableError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "tag-immutable"
    title: ClassVar[str] = "A rule of the repository keeps the tag where it is"

    def __init__(self, repository: str, tag: str, *, rule: str) -> None:
        super().__init__(
            f"{repository}:{tag} stays where it is: the rule {rule!r} of the repository says so",
            repository=repository,
            tag=tag,
            rule=rule,
        )
