"""What images are made of, described: type, digest and size, as OCI and Docker write it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from services.builder.oci.reference import is_digest

_MEDIA_TYPE: Final = re.compile(
    r"[a-zA-Z0-9][\w!#$&^.+-]{0,126}/[a-zA-Z0-9][\w!#$&^.+-]{0,126}", re.ASCII
)
_WORD: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_LARGEST: Final = 2**43
_MOST_ANNOTATIONS: Final = 256
_LONGEST_ANNOTATION: Final = 2**16
_ARCHITECTURES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}


class DescriptorInvalidError(ValueError):
    """Its text says what is wrong, and may be shown."""


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str | None = None

    @override
    def __str__(self) -> str:
        return "/".join(each for each in (self.os, self.architecture, self.variant) if each)

    def to_json(self) -> dict[str, Any]:
        said = {"architecture": self.architecture, "os": self.os}
        return said | ({"variant": self.variant} if self.variant else {})

    @classmethod
    def from_json(cls, said: object) -> "Platform":
        """Versions and features of systems are not kept."""
        known = _fields(said, "platform")
        variant = known.get("variant") or None
        return cls(
            _word(known.get("os"), "os"),
            _word(known.get("architecture"), "architecture"),
            None if variant is None else _word(variant, "variant"),
        )

    def runs(self, other: "Platform") -> bool:
        """Whether an image of ``other`` is one for this: arm64 has no variant but v8."""
        one, another = (str(each).replace("/arm64/v8", "/arm64") for each in (self, other))
        return one == another


def parse_platform(text: str) -> Platform:
    """``linux/amd64``; machines' own names for theirs are understood."""
    os, _, rest = text[:200].partition("/")
    architecture, _, variant = rest.partition("/")
    return Platform.from_json(
        {
            "os": os,
            "architecture": _ARCHITECTURES.get(architecture, architecture),
            "variant": variant,
        }
    )


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None

    def __post_init__(self) -> None:
        require_media_type(self.media_type)
        if not is_digest(self.digest):
            raise DescriptorInvalidError(f"{self.digest[:200]!r} is no digest")
        if not 0 <= self.size <= _LARGEST:
            raise DescriptorInvalidError(f"{self.size} is no size")
        if self.artifact_type is not None:
            require_media_type(self.artifact_type)

    def to_json(self) -> dict[str, Any]:
        """What was not said stays away: the same descriptor is the same bytes."""
        said: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.artifact_type is not None:
            said["artifactType"] = self.artifact_type
        if self.annotations:
            said["annotations"] = dict(self.annotations)
        if self.platform is not None:
            said["platform"] = self.platform.to_json()
        return said

    @classmethod
    def from_json(cls, said: object) -> "Descriptor":
        """What others wrote. Fields that are not known here are not kept."""
        known = _fields(said, "a descriptor")
        size, platform = known.get("size"), known.get("platform")
        if type(size) is not int:
            raise DescriptorInvalidError(f"{size!r:.100} is no size")
        return cls(
            _text(known.get("mediaType"), "mediaType"),
            _text(known.get("digest"), "digest"),
            size,
            None if platform is None else Platform.from_json(platform),
            annotations_of(known.get("annotations")),
            _text(known["artifactType"], "artifactType") if known.get("artifactType") else None,
        )


def require_media_type(name: str) -> str:
    if not _MEDIA_TYPE.fullmatch(name):
        raise DescriptorInvalidError(f"{name[:200]!r} is no media type")
    return name


def annotations_of(said: object) -> dict[str, str]:
    known = {} if said is None else _fields(said, "annotations")
    if len(known) > _MOST_ANNOTATIONS:
        raise DescriptorInvalidError(f"{len(known)} annotations")
    for value in known.values():
        if not isinstance(value, str) or len(value) > _LONGEST_ANNOTATION:
            raise DescriptorInvalidError("an annotation that is no text, or too long")
    return known


def _fields(said: object, what: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise DescriptorInvalidError(f"{what} is no object")
    return said


def _text(said: object, what: str) -> str:
    if not isinstance(said, str):
        raise DescriptorInvalidError(f"{what} is no text")
    return said


def _word(said: object, what: str) -> str:
    if not isinstance(said, str) or not _WORD.fullmatch(said):
        raise DescriptorInvalidError(f"{said!r:.100} is no {what}")
    return said
