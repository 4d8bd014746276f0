"""What was made of what."""

from dataclasses import dataclass
from typing import Final

from services.registry.domain.versions import Version, items, models_of


@dataclass(frozen=True, slots=True)
class Node:
    """A dataset, commit, run, model, bento, build or revision, by its name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    """``child`` was made of ``parent``."""

    parent: Node
    child: Node


_ORIGINS: Final = {
    "dataset": "dataset",
    "datasets": "dataset",
    "commit": "commit",
    "git_commit": "commit",
    "code_commit": "commit",
    "run": "run",
    "run_id": "run",
    "parent": "model",
    "parent_model": "model",
}
"""Keys of a manifest's metadata, and of labels, that name what a version is made of."""


_MOST_ORIGINS: Final = 100


_LONGEST_NAME: Final = 500


def sources_of(version: Version) -> list[Node]:
    """What it says that it is made of: its models first, each once, a hundred at most."""
    manifest = version.described
    metadata = manifest.get("metadata")
    said = [*(metadata.items() if isinstance(metadata, dict) else ()), *version.labels]
    nodes = [Node("model", tag) for tag in models_of(manifest)]
    for key, value in said:
        kind = _ORIGINS.get(str(key))
        if kind is not None:
            nodes += [Node(kind, str(each)) for each in (items(value) or [value])]
    fit = [each for each in nodes if 0 < len(each.name) <= _LONGEST_NAME and "\0" not in each.name]
    return list(dict.fromkeys(fit))[:_MOST_ORIGINS]
