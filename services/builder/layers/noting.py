"""What packages say of themselves in a layer, noted while it is written or read."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from services.builder.domain import Contents
from services.builder.layers.entries import Entry

_STATUS: Final = "var/lib/dpkg/status"
_RELEASES: Final = frozenset({"etc/os-release", "usr/lib/os-release"})
_LARGEST: Final = 16 * 2**20
_HEAD: Final = 64 * 2**10


class Notes:
    """Of one layer. The last of a name counts."""

    def __init__(self) -> None:
        self._wheels: dict[str, str] = {}
        self._debian: str | None = None
        self._release = ""

    @staticmethod
    def wants(name: str, size: int) -> bool:
        return size <= _LARGEST and (name == _STATUS or name in _RELEASES or _is_wheel(name))

    def take(self, name: str, content: bytes) -> None:
        """Of a file that is wanted."""
        text = content.decode(errors="replace").replace("\0", "")
        if name == _STATUS:
            self._debian = text
        elif name in _RELEASES:
            self._release = text
        else:
            self._wheels[name] = text[:_HEAD].partition("\n\n")[0]

    def contents(self) -> Contents:
        return Contents(
            wheels=tuple(self._wheels[name] for name in sorted(self._wheels)),
            debian=self._debian,
            distribution=_distribution(self._release),
        )


def contents_of(entries: Iterable[Entry]) -> Contents:
    """Of a layer that is made of ``entries``, without reading it."""
    notes = Notes()
    for each in entries:
        if notes.wants(each.path, each.size):
            if each.source is not None:
                notes.take(each.path, each.source.read_bytes())
            elif each.content is not None:
                notes.take(each.path, each.content)
    return notes.contents()


def _is_wheel(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name == "METADATA" and path.parent.suffix == ".dist-info"


def _distribution(release: str) -> str | None:
    for line in release.splitlines():
        if line.startswith("ID="):
            return line.removeprefix("ID=").strip().strip('"')[:64] or None
    return None
