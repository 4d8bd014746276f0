"""Which service answers which path of the public API, and what asking it is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_VERBS: Final = {
    "GET": "read",
    "HEAD": "read",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
    "DELETE": "delete",
}
SERVICES: Final = ("registry", "builder", "deployer", "events")


@dataclass(frozen=True, slots=True)
class Forward:
    """One method on one path pattern (aiohttp's), the action it is, and who carries it out.

    The service checks again, more finely: this is the outer door.
    """

    method: str
    path: str
    service: str
    action: str
    upgrades: bool = False
    """To a WebSocket."""


def _tree(prefix: str, service: str, noun: str) -> Iterator[Forward]:
    """Every method on ``prefix`` itself and on everything below it."""
    for method, verb in _VERBS.items():
        yield Forward(method, f"{prefix}{{below:(/.*)?}}", service, f"{noun}.{verb}")


_BENTOS: Final = "/api/v1/bento_repositories/{repository}"
_MODELS: Final = "/api/v1/model_repositories/{repository}"
FORWARDS: Final = (
    Forward("POST", "/api/v2/deployments/{name}/terminate", "deployer", "deployment.terminate"),
    Forward("GET", f"{_BENTOS}/deployments", "deployer", "deployment.read"),
    Forward("GET", f"{_BENTOS}/bentos/{{version}}/deployments", "deployer", "deployment.read"),
    Forward("GET", f"{_MODELS}/models/{{version}}/deployments", "deployer", "deployment.read"),
    Forward("GET", "/api/v1/image_build_status_unsynced_bentos", "registry", "bento.read"),
    *_tree("/api/v1/bento_repositories", "registry", "bento"),
    *_tree("/api/v1/bentos", "registry", "bento"),
    *_tree("/api/v1/model_repositories", "registry", "model"),
    Forward("GET", "/api/v1/labels", "registry", "label.read"),
    Forward("GET", "/api/v1/current_org/model_modules", "registry", "model.read"),
    *_tree("/api/v1/models", "registry", "model"),
    *_tree("/api/registry/bentos", "registry", "bento"),
    *_tree("/api/registry/models", "registry", "model"),
    Forward("GET", "/api/registry/openapi.json", "registry", "api.read"),
    Forward("PUT", "/api/registry/transfers/{below:.+}", "registry", "transfer.update"),
    *_tree("/api/registry/lineage", "registry", "bento"),
    *_tree("/api/registry/packages", "registry", "bento"),
    *_tree("/api/registry/trash", "registry", "trash"),
    *_tree("/api/registry/gc", "registry", "trash"),
    *_tree("/api/registry/settings", "registry", "setting"),
    *_tree("/api/registry/images", "registry", "image"),
    *_tree("/v2", "registry", "image"),
    *_tree("/api/v2/deployments", "deployer", "deployment"),
    *_tree("/api/v1/org_secrets", "deployer", "secret"),
    Forward("POST", "/api/secrets/rotate", "deployer", "secret.rotate"),
    *_tree("/api/v1/instance_types", "deployer", "instance_type"),
    *_tree("/api/deployments", "deployer", "deployment"),
    *_tree("/api/builds", "builder", "build"),
    Forward("GET", "/api/builder/openapi.json", "builder", "api.read"),
    *_tree("/api/images", "builder", "build"),
    *_tree("/api/base-images", "builder", "base_image"),
    *_tree("/api/events", "events", "event"),
    Forward("GET", "/ws/v1/clusters/{cluster}/pods", "builder", "build.read", upgrades=True),
    Forward("GET", "/ws/v2/deployments/{name}/pods", "deployer", "deployment.read", upgrades=True),
    Forward("GET", "/ws/v1/clusters/{cluster}/tail", "deployer", "log.read", upgrades=True),
)
_BUILDS: Final = "build."


def service_of(forward: Forward, pod: str) -> str:
    """Logs are asked for by the name of a pod alone: whoever gave it that name has its log."""
    return "builder" if forward.upgrades and pod.startswith(_BUILDS) else forward.service
