"""What a base image offers, by what was found in it. Pure."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from services.builder.domain import BasePython
from services.builder.plan.dpkg import installed

_PATHS: Final = ("usr/local/bin", "usr/bin", "bin", "opt/python/bin", "app/bin")
"""In the order of a search path: the first interpreter of a version is the one."""
_INTERPRETER: Final = re.compile(r"python(3\.\d{1,2})")
_PATCHLEVEL: Final = re.compile(r'#define PY_VERSION\s+"(3\.\d+\.\d+)')
_DEBIAN: Final = re.compile(r"^(?:\d+:)?(\d+\.\d+(?:\.\d+)?)")
_OLD_LIBC: Final = re.compile(r"libc-(2\.\d+)\.so")


def pythons_of(
    names: Mapping[str, str], texts: Mapping[str, str], env: Mapping[str, str]
) -> tuple[BasePython, ...]:
    """One of each minor version, where its patch level can be told."""
    packages = _versions(texts)
    found: dict[str, BasePython] = {}
    for path, minor in _interpreters(names):
        if minor in found:
            continue
        exact = _exact(path, minor, texts=texts, env=env, packages=packages)
        if exact is not None:
            found[minor] = BasePython(f"/{path}", exact)
    return tuple(found[each] for each in sorted(found))


def libc_of(names: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """``glibc 2.36``, ``musl 1.2``, or nothing when it cannot be told."""
    if any(PurePosixPath(each).name.startswith("ld-musl-") for each in names):
        return "musl 1.2"
    version = _versions(texts).get("libc6", "")
    if said := _DEBIAN.match(version):
        return "glibc " + ".".join(said[1].split(".")[:2])
    for each in names:
        if old := _OLD_LIBC.fullmatch(PurePosixPath(each).name):
            return f"glibc {old[1]}"
    return ""


def has_bash(names: Mapping[str, str]) -> bool:
    return bool({"bin/bash", "usr/bin/bash", "usr/local/bin/bash"} & names.keys())


def _versions(texts: Mapping[str, str]) -> dict[str, str]:
    """Of Debian's packages."""
    found = installed(texts.get("var/lib/dpkg/status", ""))
    return {each.get("Package", ""): each.get("Version", "") for each in found}


def _interpreters(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for folder in _PATHS:
        for path in sorted(names):
            at = PurePosixPath(path)
            if str(at.parent) == folder and (said := _INTERPRETER.fullmatch(at.name)):
                yield path, said[1]


def _exact(
    path: str,
    minor: str,
    *,
    texts: Mapping[str, str],
    env: Mapping[str, str],
    packages: Mapping[str, str],
) -> str | None:
    prefix = str(PurePosixPath(path).parent.parent)
    header = texts.get(f"{prefix}/include/python{minor}/patchlevel.h", "")
    if said := _PATCHLEVEL.search(header):
        return said[1]
    if path.startswith("usr/local/") and env.get("PYTHON_VERSION", "").startswith(f"{minor}."):
        return env["PYTHON_VERSION"]
    packaged = _DEBIAN.match(packages.get(f"python{minor}-minimal", ""))
    return packaged[1] if packaged else None
