"""The lines that a bento's packages are resolved from, and the lock that comes of them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)\.\d+(?:(?:a|b|rc)\d+)?")
_INDEX: Final = ("--index-url", "-i ", "--extra-index-url", "--no-index")
_SETUPTOOLS: Final = re.compile(r"setuptools\s*==\s*(\d+)", re.IGNORECASE)
_WITHOUT_PKG_RESOURCES: Final = 81
_BEFORE_OWN_SETUPTOOLS: Final = (1, 4)
_PINNED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][-A-Za-z0-9._]*)(?:\[[^]]*\])?\s*==\s*(?P<version>[^\s;\\*]+)"
)
_AT: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][-A-Za-z0-9._]*)(?:\[[^]]*\])?\s*@\s*(?P<version>\S+)"
)
_HASH: Final = re.compile(r"--hash[= ](\w+:[0-9a-f]+)")
_SOURCE: Final = re.compile(r"(?:git|hg|svn|bzr)\+|\.(?:tar\.gz|tar\.bz2|tgz|zip)(?:#|\s|$)")
_PATH: Final = re.compile(r"-e\s|--editable|\.{0,2}/")


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of a lock. ``hashes`` are of every file that may be it, sorted.

    ``version`` is an address where the author gave one.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


def requirements_of(manifest: Mapping[str, Any], text: str) -> str:
    """What is resolved: the bento's own lines, whichever index its author used."""
    lines = [each.strip() for each in text.splitlines() if not each.strip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    kept = [each for each in whole if each and not each.startswith(_INDEX)]
    names = {found[0].lower() for each in kept if (found := _NAME.match(each))}
    release = _RELEASE.fullmatch(str(manifest.get("bentoml_version") or ""))
    if "bentoml" not in names and release is not None:
        kept.append(f"bentoml=={release[0]}")
    old = release is not None and (int(release[1]), int(release[2])) < _BEFORE_OWN_SETUPTOOLS
    if old:  # these use pkg_resources, which later setuptools lack, and pin the latest all the same
        kept = [each for each in kept if not _lacks_pkg_resources(each)]
        if not any(each.lower().startswith("setuptools") for each in kept):
            kept.append("setuptools<81")
    return "".join(f"{each}\n" for each in kept)


def is_pinned(requirements: str) -> bool:
    """Every line names one version: whoever resolves it again finds the same packages."""
    lines = [each for each in requirements.splitlines() if not each.startswith("setuptools<")]
    return bool(lines) and all(_PINNED.match(each) for each in lines)


def need_building(requirements: str) -> Iterator[str]:
    """The lines that no wheel of an index can satisfy."""
    for line in requirements.splitlines():
        if _SOURCE.search(line) or _PATH.match(line):
            yield line[:200]


def locked(lock: str) -> list[Locked]:
    """The packages of a hashed lock, as uv writes it, in the order of their names."""
    joined = lock.replace("\\\n", " ")
    found = [
        Locked(
            pinned["name"].lower().replace("_", "-").replace(".", "-"),
            pinned["version"],
            tuple(sorted(_HASH.findall(line))),
        )
        for line in joined.splitlines()
        if (pinned := _PINNED.match(line.strip()) or _AT.match(line.strip()))
    ]
    return sorted(found, key=lambda each: each.name)


def _lacks_pkg_resources(requirement: str) -> bool:
    pinned = _SETUPTOOLS.match(requirement)
    return pinned is not None and int(pinned[1]) >= _WITHOUT_PKG_RESOURCES
