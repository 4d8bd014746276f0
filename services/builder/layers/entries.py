"""What is in a layer: names, modes and owners that no machine, clock or umask has a say in."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tarfile import DIRTYPE, PAX_FORMAT, REGTYPE, SYMTYPE, TarInfo

_EXECUTABLE = 0o755
_PLAIN = 0o644
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a layer. A file has ``source`` or ``content``, a link its ``target``."""

    path: str
    """Without a leading ``/``; a folder's has no trailing one."""
    owner: int = 0
    source: Path | None = None
    content: bytes | None = None
    target: str | None = None
    executable: bool = False
    size: int = 0
    private: bool = False
    """Of a folder: nobody but its owner looks into it."""

    @property
    def is_folder(self) -> bool:
        return self.source is None and self.content is None and self.target is None

    def header(self) -> bytes:
        info = TarInfo(self.path)
        info.uid = info.gid = self.owner
        info.mtime = 0
        info.mode = _EXECUTABLE if self.executable else _PLAIN
        if self.target is not None:
            info.type, info.linkname, info.mode = SYMTYPE, self.target, 0o777
        elif self.is_folder:
            info.type, info.mode = DIRTYPE, _PRIVATE if self.private else _EXECUTABLE
        else:
            info.type = REGTYPE
            info.size = len(self.content) if self.content is not None else self.size
        return info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")


def below(folder: Path, at: str, *, owner: int) -> Iterator[Entry]:
    """Everything in ``folder``, under ``at``. What is neither file, folder nor link is left out."""
    for here, folders, files in os.walk(folder):
        relative = os.path.relpath(here, folder)
        for name in (*folders, *files):
            source = Path(here, name)
            path = os.path.normpath(f"{at}/{relative}/{name}")
            status = source.lstat()
            if stat.S_ISLNK(status.st_mode):
                yield Entry(path, owner, target=os.readlink(source))  # noqa: PTH115 - as it is
            elif stat.S_ISDIR(status.st_mode):
                yield Entry(path, owner)
            elif stat.S_ISREG(status.st_mode):
                yield file_entry(path, source, owner=owner, status=status)


def file_entry(path: str, source: Path, *, owner: int, status: os.stat_result) -> Entry:
    return Entry(
        path,
        owner,
        source=source,
        size=status.st_size,
        executable=bool(status.st_mode & stat.S_IXUSR),
    )


def with_parents(entries: Iterable[Entry], *, root: str, owner: int) -> list[Entry]:
    """Sorted, each once, with the folders that they lie in below ``root``."""
    known = {each.path: each for each in entries}
    for path in list(known):
        parent = os.path.dirname(path)  # noqa: PTH120 - names inside a tar
        while parent.startswith(f"{root}/") and parent not in known:
            known[parent] = Entry(parent, owner)
            parent = os.path.dirname(parent)  # noqa: PTH120 - same
    return [known[path] for path in sorted(known)]
