"""What an image is called, read as all clients do: ``python:3.11-slim`` is Docker Hub's."""

import re
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

_LONGEST: Final = 1024
_LONGEST_NAME: Final = 255
_HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_REGISTRY: Final = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]{{2,39}}\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_ID: Final = re.compile(r"[0-9a-f]{64}")


class ReferenceInvalidError(ValueError):
    """Its text says what is wrong, and may be shown."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry: by ``digest`` where there is one, whatever ``tag`` says."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @override
    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What a registry is asked for."""
        return self.digest or self.tag or "latest"

    @property
    def host(self) -> str:
        """Where the registry answers: Docker Hub's is not at its name."""
        return "registry-1.docker.io" if self.registry == _HUB else self.registry


def parse_reference(text: str) -> Reference:
    """Without a registry it is Docker Hub's, without tag and digest the latest."""
    if len(text) > _LONGEST:
        raise ReferenceInvalidError(
            f"a reference of {len(text)} characters; {_LONGEST} are allowed"
        )
    named, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise ReferenceInvalidError(f"{digest[:200]!r} is no digest: sha256:… or sha512:…")
    registry, path = _split(named)
    repository, colon, tag = path.partition(":")
    if colon and not is_tag(tag):
        raise ReferenceInvalidError(f"{tag[:200]!r} is no tag")
    if registry == _HUB and "/" not in repository:
        if _ID.fullmatch(repository):
            raise ReferenceInvalidError(f"{repository} is an image's id, no repository")
        repository = f"library/{repository}"
    if not is_repository(repository):
        raise ReferenceInvalidError(f"{repository[:200]!r} is no name of a repository")
    return Reference(registry, repository, tag or (None if digest else "latest"), digest or None)


def is_repository(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _REPOSITORY.fullmatch(name) is not None


def is_tag(name: str) -> bool:
    return _TAG.fullmatch(name) is not None


def is_digest(name: str) -> bool:
    return _DIGEST.fullmatch(name) is not None


def canonical_registry(name: str) -> str:
    """One name for each registry, whatever it was called."""
    found = _REGISTRY.fullmatch(name)
    if found is None or len(name) > _LONGEST_NAME or int(found["port"] or 1) not in range(1, 2**16):
        raise ReferenceInvalidError(f"{name[:200]!r} is no registry")
    lower = name.lower()
    return _HUB if lower in _HUB_NAMES else lower


def _split(named: str) -> tuple[str, str]:
    """The registry and the rest: what looks like a host before the first slash is one."""
    first, slash, rest = named.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if slash and is_host:
        return canonical_registry(first), rest
    return _HUB, named
