"""The hashed lock, as ``uv pip compile --generate-hashes`` writes it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from services.builder.errors import BuildFailedError

LIMIT: Final = 8 * 1024 * 1024
_PINS: Final = 10_000
_HASH: Final = re.compile(r"\s--hash=(\S+)")
_ELSEWHERE: Final = re.compile(r"\s*(-[rce]\b|--(requirement|constraint|editable)\b)")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of a lock. ``hashes`` are of every file that may be it, sorted.

    ``version`` is an address where the author gave one.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


def locked(text: str) -> tuple[Locked, ...]:
    """Every pinned distribution, sorted, each version once."""
    if len(text) > LIMIT:
        raise _refused(f"the lock has {len(text)} characters, and {LIMIT} are the most")
    hashes: dict[tuple[str, str], set[str]] = {}
    for line in _logical(text):
        name, version, found = _pin(line)
        hashes.setdefault((name, version), set()).update(found)
        if len(hashes) > _PINS:
            raise _refused(f"the lock pins more than {_PINS} distributions")
    return tuple(Locked(*each, tuple(sorted(hashes[each]))) for each in sorted(hashes))


def _logical(text: str) -> Iterator[str]:
    """Lines with their continuations; without comments and without options of the whole file."""
    begun: list[str] = []
    for physical in [*text.splitlines(), ""]:
        line = (_COMMENT.sub("", physical) if "#" in physical else physical).rstrip()
        if line.endswith("\\"):
            begun.append(line[:-1])
            continue
        whole = " ".join([*begun, line]).strip()
        begun.clear()
        if _ELSEWHERE.match(whole):
            raise _refused(f"a lock stands alone; this one says {whole[:120]}")
        if whole and not whole.startswith("-"):
            yield whole


def _public(url: str) -> str:
    """Without what may be a password: credentials, tokens in the query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _pin(line: str) -> tuple[str, str, set[str]]:
    shown = line[:120]
    try:
        requirement = Requirement(line.partition(" --hash=")[0])
    except InvalidRequirement as error:
        raise _refused(f"a line of the lock is no requirement: {shown}") from error
    name = canonicalize_name(requirement.name)
    hashes = {each.lower() for each in _HASH.findall(line)}
    if requirement.url is not None:  # a file at an address is its own version
        return name, _public(requirement.url), hashes
    exact = [each for each in requirement.specifier if each.operator in {"==", "==="}]
    if len(exact) != 1 or exact[0].version.endswith(".*"):
        raise _refused(f"a line of the lock pins no version: {shown}")
    return name, exact[0].version, hashes


def _refused(why: str) -> BuildFailedError:
    return BuildFailedError("requirements-not-installable", why)
