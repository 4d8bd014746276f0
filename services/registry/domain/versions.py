"""Models and bentos: what a version is, and what its manifest says."""

import json
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
    labels: tuple[tuple[str, str], ...] = ()


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
    creator: Person | None = None

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.manifest)
        return found

    @property
    def told_bytes(self) -> int:
        """As its client counted, of a bento with its models; 0 where it did not say."""
        size = self.described.get("size_bytes")
        return size if isinstance(size, int) and size > 0 else 0

    @property
    def lock(self) -> str:
        """Its locked requirements, where the manifest has them (clients since 1.3)."""
        image = self.described.get("image")
        found = image.get("python_requirements") if isinstance(image, dict) else None
        return found.replace("\0", "") if isinstance(found, str) else ""

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


def models_of(manifest: dict[str, Any]) -> list[str]:
    """Tags of the models that a bento needs from this registry, in order, once each."""
    entries = [
        model
        for service in _objects(manifest.get("services"))
        for model in _objects(service.get("models"))
    ]
    tags = [each.get("tag") for each in entries] + items(manifest.get("models"))
    elsewhere = [each.get("tag") for each in entries if each.get("registry") == HUGGING_FACE]
    wanted = [tag for tag in tags if isinstance(tag, str) and tag not in elsewhere]
    return list(dict.fromkeys(wanted))


def normalised(manifest: dict[str, Any], kind: str = Kind.BENTO) -> dict[str, Any]:
    """The manifest as every client can read it, whoever pushed it.

    One that a client cannot read keeps it from listing all the others. 1.2 wrote dependencies as
    plain strings.
    """
    missing = {
        key: empty
        for key, empty in _REQUIRED[Kind(kind)].items()
        if not isinstance(manifest.get(key), type(empty))
    }
    shown = {**manifest, **missing} if missing else manifest
    if "services" not in shown:
        return shown
    named = [each for each in _objects(shown["services"]) if isinstance(each.get("name"), str)]
    return {**shown, "services": [_readable(each) for each in named]}


_REQUIRED: Final[dict[Kind, dict[str, Any]]] = {
    Kind.BENTO: {"service": "", "bentoml_version": "", "size_bytes": 0},
    Kind.MODEL: {"module": "", "api_version": "", "bentoml_version": "", "size_bytes": 0},
}
"""Of which type what every client wants is, and what stands for it where it is not there."""


def _readable(service: dict[str, Any]) -> dict[str, Any]:
    shown = {"service": "", **service}
    if not isinstance(shown["service"], str):
        shown["service"] = ""
    if "dependencies" in service:
        shown["dependencies"] = [
            {"service": each} if isinstance(each, str) else each
            for each in items(service["dependencies"])
        ]
    return shown


def items(value: object) -> list[Any]:
    """A manifest is whatever a client sent: what should be a list may be anything."""
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in items(value) if isinstance(each, dict)]
