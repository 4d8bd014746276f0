"""What keeps a version, and what becomes of one that nothing keeps."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that keeps a version from being deleted: an alias, a revision, a bento."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Trashed:
    """A version that is deleted and can still be brought back, until ``purge_at``."""

    id: UUID
    org_id: UUID
    repository_id: UUID
    kind: str
    repository: str
    version: str
    digest: str | None
    size_bytes: int
    deleted_at: datetime
    purge_at: datetime
    deleted_by: str
    seq: int


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Bytes that nobody points to. ``released_at``: when the last one who did let go."""

    digest: str
    size_bytes: int
    place: str
    state: str
    state_at: datetime
    released_at: datetime | None
    released_org: UUID | None


@dataclass(frozen=True, slots=True)
class Retention:
    """What a repository keeps by itself; what neither condition keeps may go."""

    keep_last: int | None
    keep_days: int | None
    keep_labels: dict[str, str]
