"""Unpacking what others packed: nothing leaves the folder, nothing but files and folders.

The registry has refused most of what is refused here. Whoever unpacks does not rely on it.
"""

import errno
import io
import tarfile
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import Final

from typing_extensions import override

from services.builder.errors import BuildFailedError

_ENTRIES: Final = 1_000_000
_AT_ONCE: Final = 64 * 2**10
"""Contents are read in small pieces, so this is a header that says it is larger."""
_ITS_FAULT: Final = frozenset(
    {
        *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ELOOP, errno.EFBIG, errno.EINVAL, errno.EILSEQ),
    }
)
"""What a system says of names and sizes that it cannot have, on whichever disk."""


def unpack(archive: Path, folder: Path) -> None:
    """Nothing is held of what was unpacked, however many entries there are."""
    folder.mkdir(parents=True)
    try:
        with _Bounded(archive.open("rb", buffering=0)) as file:
            _unpack(file, folder)
    except (tarfile.TarError, RecursionError, ValueError, OverflowError) as error:
        raise BuildFailedError("archive-invalid", f"the archive cannot be read: {error}") from error
    except OSError as error:
        if error.errno not in _ITS_FAULT:
            raise
        raise BuildFailedError("archive-invalid", f"it cannot be unpacked: {error}") from error


class _Bounded(io.BufferedReader):
    @override
    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _AT_ONCE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _unpack(file: io.BufferedReader, folder: Path) -> None:
    links: set[PurePosixPath] = set()
    entries = 0
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            entries += 1
            if entries > _ENTRIES:
                raise tarfile.ReadError(f"more than {_ENTRIES} entries")
            _check(member, links)
            if member.islnk():
                _link(folder, member)
            else:
                tar.extract(member, folder, filter="data", set_attrs=True)
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps all that it has read
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it does not end where it is read no further")


def _check(member: tarfile.TarInfo, links: set[PurePosixPath]) -> None:
    """Nothing outside, nothing but files, folders and links, and nothing through a link."""
    path = PurePosixPath(member.name)
    through = links & {path, *path.parents}
    target = PurePosixPath(member.linkname)
    if member.issym() or member.islnk():
        links.add(path)
    if (
        path.is_absolute()
        or ".." in path.parts
        or through
        or member.size < 0
        or member.issparse()
        or not (member.isreg() or member.isdir() or member.issym() or member.islnk())
        or (member.issym() and _leads_out(path, member.linkname))
        or (member.islnk() and (target.is_absolute() or ".." in target.parts))
    ):
        raise BuildFailedError("archive-invalid", f"the archive holds {member.name[:200]!r}")
    if member.islnk():
        links.add(target)  # what is written to one name now would change the other


def _link(folder: Path, member: tarfile.TarInfo) -> None:
    """Of a file that was unpacked before, as ``tar`` packs a file that has two names."""
    target = folder / member.linkname
    if target.resolve() != folder.resolve() / member.linkname or not target.is_file():
        raise BuildFailedError("archive-invalid", f"{member.name[:200]!r} links to no file")
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.hardlink_to(target)


def _leads_out(path: PurePosixPath, target: str) -> bool:
    """By its text alone: up from its folder, never up from below another name."""
    parts = [part for part in target.split("/") if part not in {"", "."}]
    down = list(dropwhile(lambda part: part == "..", parts))
    ups = len(parts) - len(down)
    return target.startswith("/") or ".." in down or ups > len(path.parent.parts)
