"""What an archive must say of itself, and what is taken from it while it is received."""

from typing import Final

from services.registry.archive import ArchiveWalk, top_of
from services.registry.domain import Kind
from services.registry.errors import ArchiveRefusedError

LOCKS: Final = ("env/python/requirements.lock.txt", "env/python/requirements.txt")
"""Where clients before 1.3 put what later ones say in the manifest; the first one counts."""


def walk_of(kind: str) -> ArchiveWalk:
    beside = LOCKS if kind == Kind.BENTO else ()
    return ArchiveWalk(Kind(kind).description_file, beside=beside)


def lock_in(walk: ArchiveWalk) -> str:
    """The locked requirements; nothing where there are none."""
    found = [walk.beside[path] for path in LOCKS if path in walk.beside]
    return found[0].decode(errors="replace").replace("\0", "") if found else ""


def described(content: bytes, tag: str) -> None:
    """That it is ``tag``. Raises ``ArchiveRefusedError``."""
    said = top_of(content)
    name = f"{said.get('name')}:{said.get('version')}"
    if name != tag:
        raise ArchiveRefusedError(f"the archive is {name[:200]!r}, not '{tag}'")
