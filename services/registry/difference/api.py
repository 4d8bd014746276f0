"""Which routes callers lose or gain, and what each takes and gives otherwise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.difference.schemas import Comparison, mapping, sequence


@dataclass(frozen=True, slots=True)
class ApiChange:
    """``breaking``: somebody who calls the old one may fail with the new one."""

    route: str
    breaking: bool
    reason: str


def routes_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Routes with the schemas of what they take and give, whichever client wrote the manifest."""
    schema = mapping(manifest.get("schema"))
    routes = {
        str(each.get("route")): {
            "input": mapping(each.get("input")),
            "output": mapping(each.get("output")),
            "is_task": each.get("is_task") is True,
        }
        for each in sequence(schema.get("routes"))
        if isinstance(each, dict) and each.get("route")
    }
    for name, api in mapping(manifest.get("apis")).items():
        if isinstance(api, dict):
            route = str(api.get("route") or name)
            routes.setdefault(
                route if route.startswith("/") else f"/{route}",
                {
                    "input": {"kind": api.get("input")},
                    "output": {"kind": api.get("output")},
                    "is_task": False,
                },
            )
    return routes


def api_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ApiChange]:
    """Of manifests."""
    old, new = routes_of(before), routes_of(after)
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    found = [ApiChange(route, breaking=True, reason="the route is gone") for route in gone]
    found += [ApiChange(route, breaking=False, reason="the route is new") for route in come]
    for route in sorted(old.keys() & new.keys()):
        found += [
            ApiChange(route, breaking=breaking, reason=reason)
            for breaking, reason in _changes(old[route], new[route])
        ]
    return found


def _changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    if old["is_task"] != new["is_task"]:
        yield True, "is a task now" if new["is_task"] else "is a task no more"
    yield from Comparison(old["input"], new["input"], takes=True).changes()
    yield from Comparison(old["output"], new["output"], takes=False).changes()
