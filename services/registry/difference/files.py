"""What is otherwise among the files of two archives."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.registry.archive import Entry


@dataclass(frozen=True, slots=True)
class FileChanges:
    """``unknown``: of one size, and too big to be read for a comparison."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    unknown: list[str]


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
