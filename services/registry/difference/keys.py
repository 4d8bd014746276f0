"""What is otherwise in what is said by key: locked packages, labels, metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


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


@dataclass(frozen=True, slots=True)
class Change:
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class KeyedChanges:
    """Of packages, labels, metadata."""

    added: dict[str, Any]
    removed: dict[str, Any]
    changed: dict[str, Change]


def keyed_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> KeyedChanges:
    return KeyedChanges(
        added={key: after[key] for key in sorted(after.keys() - before.keys())},
        removed={key: before[key] for key in sorted(before.keys() - after.keys())},
        changed={
            key: Change(before[key], after[key])
            for key in sorted(before.keys() & after.keys())
            if before[key] != after[key]
        },
    )
