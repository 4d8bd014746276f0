"""What an archive must say of itself."""

from services.registry.archive import top_of
from services.registry.errors import ArchiveRefusedError


def described(content: bytes, tag: str) -> None:
    """That it is ``tag``. Raises ``ArchiveRefusedError``."""
    said = top_of(content)
    name = f"{said.get('name')}:{said.get('version')}"
    if name != tag:
        raise ArchiveRefusedError(f"the archive is {name[:200]!r}, not '{tag}'")
