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
        return (self.described.get("metadata") or {}).get("registry") == HUGGING_FACE


def models_of(manifest: dict[str, Any]) -> list[str]:
    """Tags of the models that a bento needs from this registry, in order, once each."""
    entries = [
        model
        for service in manifest.get("services") or []
        for model in service.get("models") or []
        if isinstance(model, dict)
    ]
    elsewhere = {each["tag"] for each in entries if each.get("registry") == HUGGING_FACE}
    tags = [each["tag"] for each in entries] + list(manifest.get("models") or [])
    return [tag for tag in dict.fromkeys(tags) if tag not in elsewhere]


def normalised(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest as every client can read it: 1.2 wrote dependencies as plain strings."""
    services = manifest.get("services")
    if not any(
        isinstance(each, str)
        for service in services or []
        for each in service.get("dependencies") or []
    ):
        return manifest
    return {**manifest, "services": [_with_objects(service) for service in services or []]}


def _with_objects(service: dict[str, Any]) -> dict[str, Any]:
    dependencies = [
        {"service": each} if isinstance(each, str) else each
        for each in service.get("dependencies") or []
    ]
    return {**service, "dependencies": dependencies}
