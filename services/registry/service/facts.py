"""What the registry says of versions on their way out."""

from datetime import datetime
from typing import Any

from libs.contracts.registry import (
    BentoDeleted,
    BentoPurged,
    BentoRestored,
    ModelDeleted,
    ModelPurged,
    ModelRestored,
)
from services.registry.domain import Kind, Repository, Trashed, Version


def deleted(
    repository: Repository, version: Version, *, until: datetime, reason: str
) -> BentoDeleted | ModelDeleted:
    said: dict[str, Any] = {
        "repository": repository.name,
        "version": version.version,
        "digest": version.digest,
        "purge_at": until,
        "reason": reason,
    }
    if repository.kind == Kind.BENTO:
        return BentoDeleted(bento_id=version.id, **said)
    return ModelDeleted(model_id=version.id, **said)


def restored(version: Trashed) -> BentoRestored | ModelRestored:
    said: dict[str, Any] = {"repository": version.repository, "version": version.version}
    if version.kind == Kind.BENTO:
        return BentoRestored(bento_id=version.id, **said)
    return ModelRestored(model_id=version.id, **said)


def purged(version: Trashed) -> BentoPurged | ModelPurged:
    said: dict[str, Any] = {
        "repository": version.repository,
        "version": version.version,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
    }
    if version.kind == Kind.BENTO:
        return BentoPurged(bento_id=version.id, **said)
    return ModelPurged(model_id=version.id, **said)
