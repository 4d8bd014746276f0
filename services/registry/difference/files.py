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


def steps_of(entry: Entry, *, step: int) -> range:
    """Which pieces of ``step`` bytes of its archive a file is in."""
    if not entry.size_bytes:
        return range(0)
    return range(entry.offset // step, (entry.offset + entry.size_bytes - 1) // step + 1)


def comparable(
    before: Mapping[str, Entry], after: Mapping[str, Entry], *, step: int, most: int
) -> list[str]:
    """Paths of files of one size whose bytes must tell, the smallest first.

    As many as there are in ``most`` steps of either archive: so much is read for them.
    """
    found: list[str] = []
    read: tuple[set[int], set[int]] = set(), set()
    for path in _same_sized(before, after):
        more = [
            set(steps_of(each[path], step=step)) - steps
            for steps, each in zip(read, (before, after), strict=True)
        ]
        if all(len(steps) + len(new) <= most for steps, new in zip(read, more, strict=True)):
            found.append(path)
            read[0].update(more[0])
            read[1].update(more[1])
    return found


def _same_sized(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    same = [
        path
        for path in before.keys() & after.keys()
        if before[path].size_bytes == after[path].size_bytes
    ]
    return sorted(same, key=lambda path: (before[path].size_bytes, path))
