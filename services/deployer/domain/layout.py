"""Which services of a bento have to run, in which order, how often. Refuses what cannot be run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.deployer.domain.config import Config
from services.deployer.domain.resources import Resources, resources_of
from services.deployer.errors import NotSupportedError

RECREATE: Final = "Recreate"


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service of a revision. ``needs`` holds every transitive dependency."""

    name: str
    entry: bool
    replicas: int
    needs: tuple[str, ...]
    readyz: str
    livez: str
    recreate: bool
    resources: Resources = field(default_factory=Resources)


Layout = tuple[ServiceSpec, ...]
"""Dependencies before their dependants; the entry service is last."""


def service_names(manifest: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(each["name"]) for each in manifest.get("services") or ())


def layout_of(manifest: Mapping[str, Any], config: Config) -> Layout:
    """What ``manifest`` and ``config`` ask for together."""
    services = {str(each["name"]): each for each in manifest.get("services") or ()}
    if not services:
        raise NotSupportedError("bento", "it has no services: it was made by BentoML before 1.2")
    entry = _entry(manifest, services)
    direct = {name: tuple(_dependencies(each, services)) for name, each in services.items()}
    needed = [*_closure(entry, direct), entry]
    return tuple(
        _spec(services[name], entry=entry, direct=direct, config=config) for name in needed
    )


def _entry(manifest: Mapping[str, Any], services: Mapping[str, Any]) -> str:
    """The named entry service; older manifests name none and have it first."""
    named = str(manifest.get("entry_service") or "")
    return named if named in services else next(iter(services))


def _spec(
    service: Mapping[str, Any], *, entry: str, direct: Mapping[str, tuple[str, ...]], config: Config
) -> ServiceSpec:
    name = str(service["name"])
    wanted = config.of(name)
    is_entry = name == entry
    if not is_entry and wanted.replicas > 1:
        raise NotSupportedError(
            f"services.{name}.scaling.min_replicas",
            "a service that others depend on runs once; only the entry service has replicas",
        )
    for described in (service.get("config") or {}, wanted.overrides):
        if ((described.get("ssl") or {}) if isinstance(described, Mapping) else {}).get("enabled"):
            raise NotSupportedError(f"services.{name}.ssl", "the gateway speaks HTTP to it")
    resources = resources_of(
        service.get("config"), wanted.overrides, where=f"services.{name}.resources"
    )
    return ServiceSpec(
        name=name,
        entry=is_entry,
        replicas=wanted.replicas,
        needs=_closure(name, direct),
        readyz=_probe(service.get("config") or {}, "readyz"),
        livez=_probe(service.get("config") or {}, "livez"),
        recreate=wanted.strategy == RECREATE,
        resources=resources,
    )


def _probe(config: Mapping[str, Any], name: str) -> str:
    """A service may have probes of its own, or all of its paths below a prefix."""
    path = str((config.get("endpoints") or {}).get(name) or name)
    return path if path.startswith("/") else f"/{path}"


def _dependencies(service: Mapping[str, Any], services: Mapping[str, Any]) -> Iterator[str]:
    """Names of services of the same bento. Early clients wrote them as plain strings."""
    for each in service.get("dependencies") or ():
        if isinstance(each, str):
            name = each
        elif each.get("deployment"):
            raise NotSupportedError(
                f"depends(deployment={each['deployment']!r})",
                f"service {service['name']} would need a key to this API",
            )
        elif each.get("url"):
            continue
        else:
            name = str(each.get("service") or "")
        if name in services:
            yield name


def _closure(name: str, direct: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Everything below ``name``, each after what it needs itself."""
    found: list[str] = []

    def visit(each: str, above: frozenset[str]) -> None:
        for below in direct.get(each, ()):
            if below not in found and below not in above:
                visit(below, above | {below})
                found.append(below)

    visit(name, frozenset({name}))
    return tuple(found)
