"""The bill of materials of an image: CycloneDX 1.6, JSON.

Its serial number comes from the image's digest and its time, if any, from whoever asks: the same
image has the same bill, byte for byte.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services.builder.errors import SupplyError
from services.builder.supply import components
from services.builder.supply.debian import Package
from services.builder.supply.documents import canonical
from services.builder.supply.values import Base, Bento, Model, Pin, Subject
from services.builder.supply.wheels import Wheel, edges_of

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_SERIALS: Final = uuid5(NAMESPACE_URL, "https://yokocho.dev/sbom/v1")


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in one image of one platform."""

    image: Subject
    bento: Bento
    platform: str
    """Such as ``linux/amd64`` or ``linux/arm64/v8``."""
    python: str
    """Such as ``3.11.7``."""
    base: Base | None = None
    debian: Sequence[Package] = ()
    models: Sequence[Model] = ()
    pins: Sequence[Pin] = ()
    wheels: Sequence[Wheel] = ()
    """As they are installed. Without any, what the lock pins is taken for installed."""
    asked: Sequence[Requirement] = ()
    """The bento's own requirements."""
    distribution: str = "debian"
    """Of the base image: ``ID`` of its os-release."""


@dataclass(slots=True)
class _Graph:
    """Components, and who depends on whom, by their references."""

    components: dict[str, Component] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)

    def add(self, component: Component, needs: Iterable[str] = ()) -> str:
        reference = str(component.bom_ref.value)
        self.components[reference] = component
        self.edges.setdefault(reference, set()).update(needs)
        return reference

    def dependencies(self) -> list[Dependency]:
        by = {name: each.bom_ref for name, each in self.components.items()}
        return [
            Dependency(by[name], [Dependency(by[each]) for each in needs])
            for name, needs in self.edges.items()
        ]


def serial_of(image_digest: str) -> UUID:
    return uuid5(_SERIALS, image_digest)


def bill_of(contents: Contents, *, at: datetime | None = None) -> bytes:
    """``at`` is the image's time, when it has one; no clock is read here."""
    if "/" not in contents.platform:
        raise SupplyError(f"{contents.platform[:64]!r} is no platform: linux/amd64 is the form")
    graph = _Graph()
    inside = [graph.add(components.model(each), ()) for each in contents.models]
    inside += _distributions(graph, contents)
    needs = [graph.add(components.bento(contents.bento), inside)]
    needs += _base(graph, contents)
    image = components.image(contents.image, contents.platform)
    bom = Bom(serial_number=serial_of(contents.image.digest), components=graph.components.values())
    graph.add(image, needs)
    bom.metadata.component = image
    bom.dependencies = graph.dependencies()
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)  # the library's is that of a clock
    if at is not None:
        document["metadata"]["timestamp"] = _instant(at)
    return canonical(document)


def _instant(at: datetime) -> str:
    if at.tzinfo is None:
        raise SupplyError("a time without its zone is no instant")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base(graph: _Graph, contents: Contents) -> list[str]:
    debian = [graph.add(components.debian(each, contents.distribution)) for each in contents.debian]
    if contents.base is None:
        return debian
    return [graph.add(components.base(contents.base), debian)]


def _distributions(graph: _Graph, contents: Contents) -> list[str]:
    """Of Python. What the bento needs: what it asks for, and what nobody else needs."""
    installed = {each.name: each for each in _installed(contents)}
    hashes = {(each.name, each.version): each.hashes for each in contents.pins}
    environment = environment_of(contents.python, contents.platform)
    edges = edges_of(installed, environment, contents.asked)
    references: dict[str, str] = {}
    for name, wheel in installed.items():
        found = hashes.get((name, wheel.version), ())
        references[name] = graph.add(components.wheel(wheel, found))
    for name, needed in edges.items():
        graph.edges[references[name]].update(references[each] for each in needed)
    wanted = {canonicalize_name(each.name) for each in contents.asked}
    needed_by_others = {each for needed in edges.values() for each in needed}
    return [
        reference
        for name, reference in references.items()
        if name in wanted or name not in needed_by_others
    ]


def _installed(contents: Contents) -> list[Wheel]:
    found = contents.wheels or [
        Wheel(name=canonicalize_name(each.name), version=each.version) for each in contents.pins
    ]
    ordered = sorted(found, key=lambda each: (each.name, each.version))
    for one, other in pairwise(ordered):
        if contents.wheels and one.name == other.name:
            raise SupplyError(f"{one.name} is installed as {one.version} and as {other.version}")
    return ordered


def environment_of(python: str, platform: str) -> dict[str, str]:
    """What markers are measured by: the image's Python, whatever runs here."""
    known = {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": _MACHINES.get(platform.split("/")[1], platform.split("/")[1]),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }
    missing = default_environment().keys() - known.keys()
    if missing:  # a packaging of later years knows more: then this must say more
        raise SupplyError(f"markers may ask for {', '.join(sorted(missing))}")
    return known
