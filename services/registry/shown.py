"""What the native API shows of one version, of its files, and of two versions. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.registry.archive import Entry
from services.registry.difference import ApiChange, FileChanges, KeyedChanges, packages_of
from services.registry.domain import models_of, normalised


@dataclass(frozen=True, slots=True)
class FileShown:
    """``mode`` is octal; ``target`` is where a link leads to."""

    path: str
    kind: str
    size_bytes: int
    mode: str
    target: str


@dataclass(frozen=True, slots=True)
class ServiceShown:
    name: Any
    is_entry: bool
    models: list[str]
    dependencies: list[Any]


@dataclass(frozen=True, slots=True)
class Environment:
    """Names of variables, and no values: those may be secrets."""

    python_version: Any
    base_image: Any
    packages: dict[str, str]
    commands: Any
    envs: list[Any]


@dataclass(frozen=True, slots=True)
class ModelShown:
    """A version, with all that its manifest says."""

    name: str
    version: str
    description: str
    labels: dict[str, str]
    aliases: list[str]
    digest: str | None
    size_bytes: int
    upload_status: str
    upload_reason: str
    created_at: datetime
    build_at: datetime
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BentoShown(ModelShown):
    models: list[str]
    routes: dict[str, dict[str, Any]]
    services: list[ServiceShown]
    environment: Environment


@dataclass(frozen=True, slots=True)
class Difference:
    """From the version ``before`` to ``after``."""

    before: str
    after: str
    files: FileChanges
    packages: KeyedChanges
    api: list[ApiChange]
    metadata: KeyedChanges
    labels: KeyedChanges


def file_shown(entry: Entry) -> FileShown:
    return FileShown(entry.path, entry.kind, entry.size_bytes, f"{entry.mode:04o}", entry.target)


def services_shown(manifest: dict[str, Any]) -> list[ServiceShown]:
    """Each with the names of those that it calls; the routes are those of the entry."""
    found = normalised(manifest).get("services")
    return [
        ServiceShown(
            name=each.get("name"),
            is_entry=each.get("name") == manifest.get("entry_service"),
            models=models_of({"services": [each]}),
            dependencies=[
                one["service"] for one in _dicts(each.get("dependencies")) if "service" in one
            ],
        )
        for each in _dicts(found)
    ]


def environment_shown(manifest: dict[str, Any]) -> Environment:
    image = mapping_in(manifest, "image")
    return Environment(
        python_version=image.get("python_version"),
        base_image=image.get("base_image"),
        packages=packages_of(str(image.get("python_requirements") or "")),
        commands=image.get("commands") or [],
        envs=[each.get("name") for each in _dicts(manifest.get("envs"))],
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]


def mapping_in(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}
