"""Unpacking what others packed: nothing leaves the folder, nothing but files and folders."""

import tarfile
from pathlib import Path, PurePosixPath

from services.builder.errors import BuildFailedError


def unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    links: set[PurePosixPath] = set()
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                _check(member, links)
                tar.extract(member, folder, filter="data", set_attrs=True)
    except tarfile.TarError as error:
        raise BuildFailedError("archive-invalid", f"the archive cannot be read: {error}") from error


def _check(member: tarfile.TarInfo, links: set[PurePosixPath]) -> None:
    """Nothing outside, nothing but files, folders and links, and nothing through a link."""
    path = PurePosixPath(member.name)
    through = links & {path, *path.parents}
    if member.issym():
        links.add(path)
    if (
        path.is_absolute()
        or ".." in path.parts
        or through
        or not (member.isreg() or member.isdir() or member.issym())
    ):
        raise BuildFailedError("archive-invalid", f"the archive holds {member.name!r}")
