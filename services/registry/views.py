"""What BentoML's clients see of repositories and versions. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from libs.contracts.identity import Person
from services.registry.domain import Repository, Upload, Version, models_of, normalised

_UPLOADS: Final = {Upload.VERIFYING.value: Upload.SUCCESS.value}
"""What older clients would not know."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def shelf_view(
    repository: Repository, latest: Sequence[Version], *, count: int, size: int, stored: int
) -> dict[str, Any]:
    """As lists of repositories show one. ``stored`` counts shared bytes once."""
    kind = repository.kind
    return {
        **repository_view(repository, latest[0] if latest else None),
        f"n_{kind}s": count,
        f"latest_{kind}s": [version_view(each, kind) for each in latest],
        "size_bytes": size,
        "stored_bytes": stored,
    }


def repository_view(repository: Repository, latest: Version | None = None) -> dict[str, Any]:
    created = moment(repository.created_at)
    return {
        "uid": str(repository.id),
        "created_at": created,
        "updated_at": created,
        "deleted_at": None,
        "name": repository.name,
        "resource_type": f"{repository.kind}_repository",
        "labels": [{"key": key, "value": value} for key, value in repository.labels],
        "description": repository.description,
        "creator": person_view(repository.creator) if repository.creator else None,
        f"latest_{repository.kind}": version_view(latest, repository.kind) if latest else None,
    }


def person_view(person: Person) -> dict[str, Any]:
    """Since when somebody is known is the gateway's to say."""
    return {
        "uid": str(person.id),
        "created_at": moment(_EPOCH),
        "updated_at": None,
        "deleted_at": None,
        "name": person.name,
        "resource_type": "user",
        "labels": [],
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
    }


def version_view(version: Version, kind: str) -> dict[str, Any]:
    """``name`` equals ``version``: the client builds tags from the repository's name."""
    manifest = version.described
    return {
        "uid": str(version.id),
        "created_at": moment(version.created_at),
        "updated_at": moment(version.updated_at),
        "deleted_at": None,
        "name": version.version,
        "resource_type": kind,
        "labels": [{"key": key, "value": value} for key, value in version.labels],
        "description": version.description,
        "version": version.version,
        "manifest": normalised(manifest, kind),
        "image_build_status": version.image_status,
        "upload_status": _UPLOADS.get(version.upload_status, version.upload_status),
        "upload_started_at": moment(version.upload_started_at),
        "upload_finished_at": moment(version.upload_finished_at),
        "upload_finished_reason": version.upload_reason,
        "presigned_upload_url": "",
        "presigned_download_url": "",
        "presigned_urls_deprecated": False,
        "transmission_strategy": "proxy",
        f"{kind}_repository_uid": str(version.repository_id),
        "upload_id": "",
        "build_at": moment(version.build_at),
        "creator": person_view(version.creator) if version.creator else None,
    }


def full_view(
    repository: Repository, version: Version, latest: Version | None = None
) -> dict[str, Any]:
    """A version that carries its repository, as lists and deployments show it."""
    shown = version_view(version, repository.kind)
    return {
        **shown,
        "repository": repository_view(repository, latest),
        "models": models_of(version.described),
    }


def page(items: list[dict[str, Any]], *, start: int, total: int) -> dict[str, Any]:
    return {"start": start, "count": len(items), "total": total, "items": items}
