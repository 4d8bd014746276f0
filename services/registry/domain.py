"""Models and bentos: what a version is, and what its manifest says."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from libs.contracts.identity import Person


class Kind(StrEnum):
    BENTO = "bento"
    MODEL = "model"

    @property
    def description_file(self) -> str:
        return f"{self.value}.yaml"


class Upload(StrEnum):
    PENDING = "pending"
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    """The client is done; nobody else is to know that we are not."""
    SUCCESS = "success"
    FAILED = "failed"


HUGGING_FACE: Final = "huggingface"


@dataclass(frozen=True, slots=True)
class Repository:
    id: UUID
    org_id: UUID
    kind: str
    name: str
    description: str
    created_at: datetime
    creator: Person | None


@dataclass(frozen=True, slots=True)
class Version:
    """One version with what is known of its bytes. ``manifest`` is JSON as it was sent.

    ``upload_id`` is there while bytes flow: it says whose.
    """

    id: UUID
    org_id: UUID
    repository_id: UUID
    version: str
    description: str
    manifest: str
    labels: tuple[tuple[str, str], ...]
    build_at: datetime
    created_at: datetime
    updated_at: datetime
    upload_status: str
    upload_reason: str
    upload_started_at: datetime | None
    upload_finished_at: datetime | None
    image_status: str
    digest: str | None
    traceparent: str | None
    seq: int
    reserved_bytes: int = 0
    upload_id: UUID | None = None

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.manifest)
        return found

    @property
    def lives_elsewhere(self) -> bool:
        """A model whose bytes are on a hub and never come here."""
        metadata = self.described.get("metadata")
        return isinstance(metadata, dict) and metadata.get("registry") == HUGGING_FACE


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that points to a version and may be moved."""

    id: UUID
    repository_id: UUID
    name: str
    version: str
    protected: bool
    seq: int
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """Who made an alias mean what, when; ``after`` is None where it was removed."""

    id: UUID
    alias: str
    before: str | None
    after: str | None
    actor: str
    moved_at: datetime


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


def models_of(manifest: dict[str, Any]) -> list[str]:
    """Tags of the models that a bento needs from this registry, in order, once each."""
    entries = [
        model
        for service in _objects(manifest.get("services"))
        for model in _objects(service.get("models"))
    ]
    tags = [each.get("tag") for each in entries] + _items(manifest.get("models"))
    elsewhere = [each.get("tag") for each in entries if each.get("registry") == HUGGING_FACE]
    wanted = [tag for tag in tags if isinstance(tag, str) and tag not in elsewhere]
    return list(dict.fromkeys(wanted))


def normalised(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest as every client can read it: 1.2 wrote dependencies as plain strings."""
    services = manifest.get("services")
    if not any(
        isinstance(each, str)
        for service in _objects(services)
        for each in _items(service.get("dependencies"))
    ):
        return manifest
    return {**manifest, "services": [_with_objects(service) for service in _objects(services)]}


def _with_objects(service: dict[str, Any]) -> dict[str, Any]:
    dependencies = [
        {"service": each} if isinstance(each, str) else each
        for each in _items(service.get("dependencies"))
    ]
    return {**service, "dependencies": dependencies}


def _items(value: object) -> list[Any]:
    """A manifest is whatever a client sent: what should be a list may be anything."""
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in _items(value) if isinstance(each, dict)]


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


class Strategy(StrEnum):
    """How clients send bytes: to us, to a signed URL, or in parts to one each."""

    PROXY = "proxy"
    PRESIGNED = "presigned"
    MULTIPART = "multipart"


@dataclass(frozen=True, slots=True)
class Transfer:
    """An upload by signed URL. ``location`` is in the store; None: the bytes come to us.

    ``parts``: number and ETag of each, as the client named them. ``actor``, ``correlation`` and
    ``traceparent`` are those of whoever began it, for what follows later.
    """

    id: UUID
    org_id: UUID
    version_id: UUID
    in_parts: bool
    location: str | None
    store_upload: str | None
    parts: tuple[tuple[int, str], ...]
    actor: str
    correlation: str
    traceparent: str | None
    expires_at: datetime


_DOUBLES_A_HEADER: Final = ((1, 2, 0), (1, 3, 5))
"""Clients of these versions send two Content-Types with bytes that pass through us."""


def strategy_for(setting: Strategy, client: str | None) -> Strategy:
    """What ``client`` (its version, where it says so) can do."""
    if client is None:
        return setting
    first, last = _DOUBLES_A_HEADER
    if setting is Strategy.PROXY and first <= _release(client) <= last:
        return Strategy.PRESIGNED
    return setting


def _release(version: str) -> tuple[int, ...]:
    """``1.3.5rc1`` is before 1.3.5, but has the same habits."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", version)
    return tuple(int(each) for each in found.groups()) if found else ()
