"""Layers of finished images, read for what their packages say of themselves."""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from services.builder.domain import Contents
from services.builder.layers.looking import members_of, opened

_STATUS: Final = "var/lib/dpkg/status"
_RELEASES: Final = frozenset({"etc/os-release", "usr/lib/os-release"})
_LARGEST: Final = 16 * 2**20
_HEAD: Final = 64 * 2**10


def read_contents(file: Path, media_type: str) -> Contents:
    """Raises ``BuildFailedError`` where it is no layer. The last of a name counts."""
    wheels: dict[str, str] = {}
    texts: dict[str, str] = {}
    with opened(file, media_type) as tar:
        for name, kind, content in _texts(tar):
            if kind == "wheel":
                wheels[name] = content.partition("\n\n")[0]
            else:
                texts[kind] = content
    return Contents(
        wheels=tuple(wheels[name] for name in sorted(wheels)),
        debian=texts.get("debian"),
        distribution=_distribution(texts.get("release", "")),
    )


def _texts(tar: tarfile.TarFile) -> Iterator[tuple[str, str, str]]:
    for member in members_of(tar):
        name = member.name.removeprefix("./").lstrip("/")
        kind = _kind(name)
        if kind is None or not member.isreg() or member.size > _LARGEST:
            continue
        read = tar.extractfile(member)
        if read is not None:
            content = read.read(_HEAD if kind == "wheel" else _LARGEST)
            yield name, kind, content.decode(errors="replace").replace("\0", "")


def _kind(name: str) -> str | None:
    path = PurePosixPath(name)
    if path.name == "METADATA" and path.parent.suffix == ".dist-info":
        return "wheel"
    if name == _STATUS:
        return "debian"
    return "release" if name in _RELEASES else None


def _distribution(release: str) -> str | None:
    for line in release.splitlines():
        if line.startswith("ID="):
            return line.removeprefix("ID=").strip().strip('"')[:64] or None
    return None
