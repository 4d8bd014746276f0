"""Unpacking what others packed: nothing leaves the folder, nothing but files and folders."""

import tarfile
from pathlib import Path

from services.builder.errors import BuildFailedError


def unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _check(member)
                tar.extract(member, folder, filter="data", set_attrs=True)
    except tarfile.TarError as error:
        raise BuildFailedError("archive-invalid", f"the archive cannot be read: {error}") from error


def _check(member: tarfile.TarInfo) -> None:
    path = Path(member.name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or not (member.isreg() or member.isdir() or member.issym())
    ):
        raise BuildFailedError("archive-invalid", f"the archive holds {member.name!r}")
