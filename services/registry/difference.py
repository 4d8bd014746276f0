"""What is otherwise in one version than in another: files, packages, API, metadata. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from services.registry.archive import Entry


@dataclass(frozen=True, slots=True)
class FileChanges:
    """``unknown``: of one size, and too big to be read for a comparison."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class ApiChange:
    """``breaking``: somebody who calls the old one may fail with the new one."""

    route: str
    breaking: bool
    reason: str


def file_changes(
    before: Mapping[str, Entry], after: Mapping[str, Entry], *, equal: Mapping[str, bool]
) -> FileChanges:
    """``equal`` says of files of one size whether they are the same, as far as it is known."""
    changed, unknown = [], []
    for path in sorted(before.keys() & after.keys()):
        if before[path].size_bytes != after[path].size_bytes or equal.get(path) is False:
            changed.append(path)
        elif path not in equal:
            unknown.append(path)
    return FileChanges(
        sorted(after.keys() - before.keys()),
        sorted(before.keys() - after.keys()),
        changed,
        unknown,
    )


def same_sized(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    """Paths of files whose bytes must tell, the smallest first: most for what may be read."""
    return sorted(
        (
            path
            for path in before.keys() & after.keys()
            if before[path].size_bytes == after[path].size_bytes
        ),
        key=lambda path: (before[path].size_bytes, path),
    )


def packages_of(requirements: str) -> dict[str, str]:
    """Name and pinned version of each; an unpinned one has the version that it asks for.

    Options, hashes and comments are passed over, and so is what is no requirement.
    """
    found: dict[str, str] = {}
    for line in requirements.replace("\\\n", " ").splitlines():
        text = line.split(" --hash", 1)[0].split(" #", 1)[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        pins = [each.version for each in wanted.specifier if each.operator in {"==", "==="}]
        found[canonicalize_name(wanted.name)] = pins[0] if pins else str(wanted.specifier)
    return found


def keyed_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Of packages, labels, metadata."""
    return {
        "added": {key: after[key] for key in sorted(after.keys() - before.keys())},
        "removed": {key: before[key] for key in sorted(before.keys() - after.keys())},
        "changed": {
            key: {"from": before[key], "to": after[key]}
            for key in sorted(before.keys() & after.keys())
            if before[key] != after[key]
        },
    }


def routes_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Routes with the schemas of what they take and give, whichever client wrote the manifest."""
    schema = _mapping(manifest.get("schema"))
    routes = {
        str(each.get("route")): {
            "input": _mapping(each.get("input")),
            "output": _mapping(each.get("output")),
        }
        for each in _list(schema.get("routes"))
        if isinstance(each, dict) and each.get("route")
    }
    for name, api in _mapping(manifest.get("apis")).items():
        if isinstance(api, dict):
            route = str(api.get("route") or name)
            routes.setdefault(
                route if route.startswith("/") else f"/{route}",
                {"input": {"kind": api.get("input")}, "output": {"kind": api.get("output")}},
            )
    return routes


def api_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ApiChange]:
    """Of manifests."""
    old, new = routes_of(before), routes_of(after)
    found = [_breaks(route, "the route is gone") for route in sorted(old.keys() - new.keys())]
    found += [_harmless(route, "the route is new") for route in sorted(new.keys() - old.keys())]
    for route in sorted(old.keys() & new.keys()):
        found += _inputs(route, old[route]["input"], new[route]["input"])
        found += _outputs(route, old[route]["output"], new[route]["output"])
    return found


def _inputs(route: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[ApiChange]:
    """Whoever calls sends what the old one took."""
    was, becomes = _properties(old), _properties(new)
    required = set(map(str, _list(new.get("required"))))
    for name in sorted(becomes.keys() - was.keys()):
        if name in required:
            yield _breaks(route, f"input '{name}' is new and must be given")
        else:
            yield _harmless(route, f"input '{name}' is new and may be left out")
    for name in sorted(was.keys() - becomes.keys()):
        yield _breaks(route, f"input '{name}' is taken no more")
    for name in sorted(was.keys() & becomes.keys()):
        if _type(was[name]) != _type(becomes[name]):
            yield _breaks(route, f"input '{name}' {_became(was[name], becomes[name])}")
        elif name in required - set(map(str, _list(old.get("required")))):
            yield _breaks(route, f"input '{name}' must be given now")
    if not was and not becomes and _type(old) != _type(new):
        yield _breaks(route, f"the input {_became(old, new)}")


def _outputs(route: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[ApiChange]:
    """Whoever calls reads what the old one gave."""
    was, becomes = _properties(old), _properties(new)
    for name in sorted(was.keys() - becomes.keys()):
        yield _breaks(route, f"output '{name}' is given no more")
    for name in sorted(becomes.keys() - was.keys()):
        yield _harmless(route, f"output '{name}' is new")
    for name in sorted(was.keys() & becomes.keys()):
        if _type(was[name]) != _type(becomes[name]):
            yield _breaks(route, f"output '{name}' {_became(was[name], becomes[name])}")
    if not was and not becomes and _type(old) != _type(new):
        yield _breaks(route, f"the output {_became(old, new)}")


def _breaks(route: str, reason: str) -> ApiChange:
    return ApiChange(route, breaking=True, reason=reason)


def _harmless(route: str, reason: str) -> ApiChange:
    return ApiChange(route, breaking=False, reason=reason)


_SHAPES: Final = (
    "type",
    "format",
    "items",
    "enum",
    "anyOf",
    "allOf",
    "$ref",
    "kind",
    "dtype",
    "shape",
)


def _type(schema: Any) -> Any:
    """What of a schema a value must fit; titles and defaults are for people."""
    return {key: value for key, value in _mapping(schema).items() if key in _SHAPES}


def _became(old: Any, new: Any) -> str:
    return f"was {_said(old)} and is {_said(new)}"


def _said(schema: Any) -> str:
    found = _mapping(schema)
    return str(found.get("type") or found.get("kind") or "another shape")


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    return _mapping(schema.get("properties"))


def _mapping(value: Any) -> dict[str, Any]:
    """A manifest is whatever a client sent."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
