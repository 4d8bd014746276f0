"""Images: where one is, and what is being sent."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Place:
    """An organisation's repository of images. It has no row of its own."""

    org_id: UUID
    repository: str


@dataclass(frozen=True, slots=True)
class OciUpload:
    """A blob of which ``offset_bytes`` are here."""

    id: UUID
    offset_bytes: int
