"""What images are called, by a template that is a setting. Pure."""

import hashlib
import re
from dataclasses import dataclass
from string import Formatter
from typing import Final

DEFAULT_TEMPLATE: Final = "yatai-bentos:yatai.{repository}.{version}"
"""As Yatai named them, so that what refers to its images finds ours."""

_FIELDS: Final = frozenset({"repository", "version", "org"})
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST_TAG: Final = 128


@dataclass(frozen=True, slots=True)
class Naming:
    """``registry`` may have a path that all images lie below; None is the platform's own."""

    template: str = DEFAULT_TEMPLATE
    registry: str | None = None


def check_template(template: str) -> str:
    """The template itself. Raises ``ValueError`` that says what it lacks."""
    fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    if not fields <= _FIELDS:
        raise ValueError(f"it may name {', '.join(sorted(_FIELDS))}, not {fields - _FIELDS}")
    if "version" not in fields or "repository" not in fields:
        raise ValueError("without {repository} and {version} every image had the same name")
    if template.count(":") != 1:
        raise ValueError("it must have one ':', between the repository and the tag")
    name_of(template, repository="r", version="v", org="o")
    return template


def name_of(template: str, *, repository: str, version: str, org: str) -> tuple[str, str]:
    """Repository and tag. What would make too long a tag is named by its MD5, as in Yatai."""
    named = template.format(repository=repository.lower(), version=version, org=org.lower())
    name, _, tag = named.partition(":")
    if len(tag) > _LONGEST_TAG:
        tag = hashlib.md5(tag.encode(), usedforsecurity=False).hexdigest()
    if not _REPOSITORY.fullmatch(name) or not _TAG.fullmatch(tag):
        raise ValueError(f"{named[:200]!r} is no name of an image")
    return name, tag
