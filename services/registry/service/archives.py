"""What an archive must say of itself."""

from yaml import CSafeLoader, YAMLError, load

from services.registry.errors import ArchiveRefusedError


def described(content: bytes, tag: str) -> None:
    """That it is ``tag``. Raises ``ArchiveRefusedError``."""
    try:
        said = load(content, Loader=CSafeLoader)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ArchiveRefusedError(f"its description is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ArchiveRefusedError("its description is no mapping")
    name = f"{said.get('name')}:{said.get('version')}"
    if name != tag:
        raise ArchiveRefusedError(f"the archive is {name[:200]!r}, not '{tag}'")
