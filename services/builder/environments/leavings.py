"""What builds leave on the disk, told by whose it is and removed with its size."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from services.builder.environments.folders import remove, size_of


@dataclass(frozen=True, slots=True)
class Leavings:
    """``root`` as of ``Folders``."""

    root: Path

    def logs(self) -> dict[UUID, Path]:
        return dict(_named(self.root / "logs"))

    def work(self) -> dict[UUID, Path]:
        return dict(_named(self.root / "work"))

    def scratch(self, age: timedelta) -> list[Path]:
        """What nobody has touched for so long."""
        since = (datetime.now(UTC) - age).timestamp()
        return [each for each in _in(self.root / "scratch") if each.stat().st_mtime < since]

    def crowding(self, budget: int | None, age: timedelta) -> list[Path]:
        """Base images as files that are too much, those first that were needed longest ago.

        None that was needed within ``age``: a build may be reading it.
        """
        since = (datetime.now(UTC) - age).timestamp()
        needed = {each: each.stat().st_mtime for each in _in(self.root / "bases")}
        total, found = sum(map(size_of, needed)), []
        for each in sorted(needed, key=lambda path: needed[path]):
            if budget is not None and total > budget and needed[each] < since:
                total -= size_of(each)
                found.append(each)
        return found

    def remove(self, paths: Iterable[Path]) -> tuple[list[str], int]:
        """What was removed, as paths below the root, and how many bytes it took."""
        gone, size = [], 0
        for path in sorted(paths):
            size += size_of(path)
            remove(path)
            path.unlink(missing_ok=True)
            gone.append(str(path.relative_to(self.root)))
        return gone, size


def _named(folder: Path) -> Iterable[tuple[UUID, Path]]:
    for each in _in(folder):
        with suppress(ValueError):
            yield UUID(each.stem), each


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
