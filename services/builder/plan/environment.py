"""What a bento's manifest asks of its environment, and the digests that name the result. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.builder.domain import Interpreter, Model
from services.builder.errors import BuildFailedError

FORMAT: Final = 1
"""Raised when the same inputs are to be built differently from now on."""

DEFAULT_COMMAND: Final = (
    "apt-get update && apt-get install -q -y --no-install-recommends --allow-remove-essential "
    "ca-certificates gnupg2 bash build-essential git"
)
"""What every client adds: tools for images, of which a machine that builds has its own."""

_SLIM: Final = re.compile(r"(?:docker\.io/)?(?:library/)?python:3\.\d+(?:\.\d+)?-slim")
_PYTHON: Final = re.compile(r"(3\.\d+)(?:\.\d+)?")
_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)\.\d+(?:(?:a|b|rc)\d+)?")
_INSTRUCTIONS: Final = {
    "docker": ("system_packages", "setup_script", "dockerfile_template", "cuda_version", "env"),
    "image": ("scripts", "dockerfile_template"),
    "conda": ("environment_yml", "channels", "dependencies", "pip"),
}
_INDEX: Final = ("--index-url", "-i ", "--extra-index-url", "--no-index")
_SETUPTOOLS: Final = re.compile(r"setuptools\s*==\s*(\d+)", re.IGNORECASE)
_WITHOUT_PKG_RESOURCES: Final = 81
_BEFORE_OWN_SETUPTOOLS: Final = (1, 4)


def python_of(manifest: Mapping[str, Any], *, fallback: str) -> str:
    """``3.11``: patch levels are the machine's choice."""
    image, docker = manifest.get("image") or {}, manifest.get("docker") or {}
    wanted = str(image.get("python_version") or docker.get("python_version") or fallback)
    found = _PYTHON.fullmatch(wanted)
    if found is None:
        raise BuildFailedError("python-version-absent", f"{wanted!r} is no version of Python 3")
    return found[1]


def dropped_commands(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The commands that need not run here. Refuses a bento that needs others, by their name."""
    image, docker = manifest.get("image") or {}, manifest.get("docker") or {}
    base = image.get("base_image") or docker.get("base_image")
    if base and not _SLIM.fullmatch(str(base)):
        raise BuildFailedError(
            "image-needs-base", f"the bento asks for base image {base}; only python:X.Y-slim is one"
        )
    commands = [*(image.get("commands") or ()), *(image.get("post_commands") or ())]
    for command in commands:
        if " ".join(str(command).split()) != DEFAULT_COMMAND:
            raise BuildFailedError(
                "image-needs-commands", f"the bento's image runs a command: {command}"
            )
    for asked in _instructions(manifest):
        raise BuildFailedError("image-needs-commands", f"the bento asks for {asked}")
    return tuple(str(each) for each in commands)


def _instructions(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What would be done while a container image is made, besides its commands."""
    for section, names in _INSTRUCTIONS.items():
        described = manifest.get(section) or {}
        for name in names:
            if described.get(name):
                yield f"{section}.{name}: {described[name]}"


def requirements_of(manifest: Mapping[str, Any], text: str) -> str:
    """What is resolved: the bento's own lines, whichever index its author used."""
    lines = [each.strip() for each in text.splitlines()]
    kept = [each for each in lines if each and not each.startswith(("#", *_INDEX))]
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


def _lacks_pkg_resources(requirement: str) -> bool:
    pinned = _SETUPTOOLS.match(requirement)
    return pinned is not None and int(pinned[1]) >= _WITHOUT_PKG_RESOURCES


def environment_digest(lock: str, interpreter: Interpreter, *, org_id: UUID | None = None) -> str:
    """Of wheels alone, the same for everybody; with ``org_id`` of what was built from source.

    What runs while a package is built is its author's to choose, so only the organisation that
    asked for it gets the result.
    """
    pinned = [each for each in lock.splitlines() if each.strip() and not each.startswith("#")]
    own = [str(org_id)] if org_id is not None else []
    return _digest([FORMAT, interpreter.version, interpreter.platform, pinned, *own])


def image_digest(environment: str, bento_digest: str, models: Iterable[Model]) -> str:
    """Of everything that goes into the image, whatever the order of its models."""
    pinned = sorted([each.repository, each.version, each.digest] for each in models)
    return _digest([FORMAT, environment, bento_digest, pinned])


def _digest(value: Sequence[Any]) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
