"""The lines that a bento's packages are resolved from. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)\.\d+(?:(?:a|b|rc)\d+)?")
_INDEX: Final = ("--index-url", "-i ", "--extra-index-url", "--no-index")
_FOLDER: Final = re.compile(r"(?:-f|--find-links)[= ]/")
"""Of the machine that the bento was built on, as its pip was set up: pip itself would pass by."""
_SETUPTOOLS: Final = re.compile(r"setuptools\s*==\s*(\d+)", re.IGNORECASE)
_WITHOUT_PKG_RESOURCES: Final = 81
_BEFORE_OWN_SETUPTOOLS: Final = (1, 4)
_PINNED: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*(?:\[[^]]*\])?\s*==\s*[^\s;\\*]+")
_SOURCE: Final = re.compile(r"(?:git|hg|svn|bzr)\+|\.(?:tar\.gz|tar\.bz2|tgz|zip)(?:#|\s|$)")
_PATH: Final = re.compile(r"-e\s|--editable|\.{0,2}/")


def requirements_of(manifest: Mapping[str, Any], text: str) -> str:
    """What is resolved: the bento's own lines, whichever index its author used."""
    lines = [each.strip() for each in text.splitlines() if not each.strip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    kept = [each for each in whole if each and not _is_of_its_author(each)]
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


def _is_of_its_author(line: str) -> bool:
    return line.startswith(_INDEX) or _FOLDER.match(line) is not None


def _lacks_pkg_resources(requirement: str) -> bool:
    pinned = _SETUPTOOLS.match(requirement)
    return pinned is not None and int(pinned[1]) >= _WITHOUT_PKG_RESOURCES
