"""Deployments in BentoML's wire form, and in our own. Pure: what is shown comes by argument."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from libs.contracts.identity import Person
from services.deployer.domain.deployment import (
    Deployment,
    Revision,
    Snapshot,
    Stage,
    reason_of,
    status_of,
)
from services.deployer.domain.names import CLUSTER, Address
from services.deployer.domain.secret import Secret

_ENDED: Final = frozenset({Stage.FAILED, Stage.IMAGE_FAILED, Stage.RETIRED})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def endpoint_url(public_url: str, address: Address) -> str:
    """Without a trailing slash: clients append ``/readyz``."""
    return f"{public_url.rstrip('/')}/{address.namespace}/{address.name}"


def deployment_view(
    deployment: Deployment, latest: Revision | None, snapshot: Snapshot | None, *, public_url: str
) -> dict[str, Any]:
    """BentoML's ``DeploymentFull``."""
    creator = person_view(deployment.creator)
    return {
        **_resource(
            "deployment", deployment.id, deployment.address.wire, created_at=deployment.created_at
        ),
        "updated_at": _moment(deployment.updated_at),
        "labels": list(deployment.labels),
        "status": status_of(deployment, latest),
        "kube_namespace": deployment.address.namespace,
        "creator": creator,
        "cluster": cluster_view(deployment.cluster, deployment.org, creator),
        "latest_revision": _revision_view(deployment, latest, snapshot),
        "manifest": {"dev": False},
        "urls": [endpoint_url(public_url, deployment.address)],
    }


def list_view(items: list[dict[str, Any]], *, start: int, count: int, total: int) -> dict[str, Any]:
    return {"start": start, "count": count, "total": total, "items": items}


def person_view(person: Person) -> dict[str, Any]:
    return {
        **_resource("user", person.id, person.name, created_at=_EPOCH),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
    }


def cluster_view(name: str, org: str, creator: dict[str, Any]) -> dict[str, Any]:
    return {
        **_resource("cluster", uuid5(NAMESPACE_URL, f"cluster:{name}"), name, created_at=_EPOCH),
        "description": "",
        "organization_name": org,
        "creator": creator,
        "is_first": True,
    }


def secret_view(secret: Secret) -> dict[str, Any]:
    """Keys without values."""
    creator = person_view(secret.creator)
    items = [{"key": each.key, "sub_path": each.sub_path} for each in secret.items]
    return {
        **_resource("secret", secret.id, secret.name, created_at=secret.created_at),
        "updated_at": _moment(secret.updated_at),
        "description": secret.description,
        "creator": creator,
        "content": {
            "type": secret.kind,
            "items": items,
            "path": secret.path,
            "stage": secret.stage,
        },
        "cluster": cluster_view(CLUSTER, secret.org, creator),
    }


def overview(
    deployment: Deployment,
    latest: Revision | None,
    snapshot: Snapshot | None,
    *,
    processes: list[dict[str, Any]],
    unenforced: Mapping[str, str],
    public_url: str,
) -> dict[str, Any]:
    """Our own form: what BentoML's has no place for."""
    view = snapshot.bento if snapshot is not None else {}
    repository = view.get("repository") or {}
    return {
        "id": str(deployment.id),
        "name": deployment.address.name,
        "namespace": deployment.address.namespace,
        "cluster": deployment.cluster,
        "status": status_of(deployment, latest),
        "reason": reason_of(deployment, latest),
        "code": latest.code if latest is not None else "",
        "bento": f"{repository.get('name', '')}:{view.get('version', '')}",
        "urls": [endpoint_url(public_url, deployment.address)],
        "revision": latest.number if latest is not None else None,
        "generation": deployment.generation,
        "applied_generation": deployment.applied_generation,
        "labels": list(deployment.labels),
        "resources": _resources(latest, unenforced),
        "processes": processes,
        "created_at": _moment(deployment.created_at),
        "updated_at": _moment(deployment.updated_at),
    }


def _resources(latest: Revision | None, unenforced: Mapping[str, str]) -> dict[str, Any]:
    """By service what it may take at most, each with the reason where nothing sees to that."""
    return {
        service.name: {
            name: f"{asked}, not enforced here: {why}" if (why := unenforced.get(name)) else asked
            for name, asked in service.resources.shown().items()
        }
        for service in (latest.layout if latest is not None else ())
    }


def _revision_view(
    deployment: Deployment, latest: Revision | None, snapshot: Snapshot | None
) -> dict[str, Any] | None:
    if latest is None or snapshot is None:
        return None
    creator = person_view(snapshot.creator)
    base = _resource(
        "deployment_revision", latest.id, str(latest.number), created_at=snapshot.created_at
    )
    config: Mapping[str, Any] = {**snapshot.config, "labels": list(deployment.labels)}
    return {
        **base,
        "creator": creator,
        "status": "inactive" if latest.stage in _ENDED else "active",
        "targets": [
            {
                **base,
                "name": "default",
                "creator": creator,
                "config": config,
                "bento": snapshot.bento,
                "kube_resource_uid": "",
                "kube_resource_version": "",
            }
        ],
    }


def _resource(kind: str, uid: UUID, name: str, *, created_at: datetime) -> dict[str, Any]:
    return {
        "uid": str(uid),
        "created_at": _moment(created_at),
        "updated_at": _moment(created_at),
        "deleted_at": None,
        "name": name,
        "resource_type": kind,
        "labels": [],
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
