"""What a bento asks of its image: manifests of every client version, read into one form. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.builder.domain import Asked, Variable
from services.builder.errors import BuildFailedError

_PYTHON: Final = re.compile(r"(3\.\d{1,2})(?:\.\d+)?")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_STAGES: Final = {"all", "build", "runtime"}
_LONGEST: Final = 4096
_MOST: Final = 256

DEFAULT_COMMANDS: Final = frozenset(
    {
        (
            "apt-get update && apt-get install -q -y --no-install-recommends "
            "--allow-remove-essential ca-certificates gnupg2 bash build-essential git"
        ),
        "apk add --update bash gcc libc-dev shadow musl-dev build-base linux-headers g++ git",
        "yum update && yum install -y ca-certificates gcc gcc-c++ make bash shadow-utils git",
        (
            "yum update && yum install -y amazon-linux-extras ca-certificates gcc gcc-c++ make "
            "bash shadow-utils && amazon-linux-extras enable && "
            'yum groupinstall -y "Development Tools"'
        ),
    }
)
"""What clients from 1.3.10 on write into every manifest, one for each distribution: tools for
packages that are built from source. Earlier ones have it in their Dockerfile alone."""

_BASES: Final = {
    "debian": "python:{python}-slim",
    "alpine": "python:{python}-alpine",
    "ubi8": "registry.access.redhat.com/ubi8/python-{digits}:1",
    "amazonlinux": "amazonlinux:2",
}
_CONDA_BASES: Final = {
    "debian": "continuumio/miniconda3:latest",
    "alpine": "continuumio/miniconda3:4.10.3p0-alpine",
}
_CUDA_WITH_NEW_NAMES: Final = frozenset(
    {"12.6.0", "12.6.1", "12.6.2", "12.6.3", "12.8.0", "12.8.1"}
)
_INSTRUCTIONS: Final = {
    "docker": ("system_packages", "setup_script", "dockerfile_template", "cuda_version"),
    "image": ("scripts", "dockerfile_template"),
    "conda": ("environment_yml", "channels", "dependencies", "pip"),
}


def read(manifest: Mapping[str, Any], *, fallback_python: str) -> Asked:
    """Raises ``BuildFailedError`` where the manifest says what cannot be."""
    image, docker = _section(manifest, "image"), _section(manifest, "docker")
    python = _python(image.get("python_version") or docker.get("python_version"), fallback_python)
    said = [*_texts(image, "commands"), *_texts(image, "post_commands")]
    dropped = tuple(each for each in said if is_default(each))
    conda = any(_section(manifest, "conda").values())
    return Asked(
        bentoml=str(manifest.get("bentoml_version") or "")[:64],
        python=python,
        base=_base(image, docker, python, conda=conda),
        commands=tuple(each for each in said if not is_default(each)),
        dropped=dropped,
        instructions=tuple(_instructions(manifest)),
        envs=tuple(_envs(manifest)),
        baked=tuple(_baked(docker)),
    )


def is_default(command: str) -> bool:
    return " ".join(command.split()) in DEFAULT_COMMANDS


def _python(wanted: Any, fallback: str) -> str:
    """``3.11``: patch levels are the machine's, or the base image's, choice."""
    text = str(wanted or fallback)
    found = _PYTHON.fullmatch(text)
    if found is None:
        raise BuildFailedError("python-version-absent", f"{text[:64]!r} is no version of Python 3")
    return found[1]


def _base(image: Mapping[str, Any], docker: Mapping[str, Any], python: str, *, conda: bool) -> str:
    """What the client's own Dockerfile begins with."""
    given = image.get("base_image") or docker.get("base_image")
    if given:
        return str(given)[:_LONGEST]
    distro = str(docker.get("distro") or "debian")
    cuda = docker.get("cuda_version")
    if cuda and distro == "debian":
        suffix = "" if str(cuda) in _CUDA_WITH_NEW_NAMES else "8"
        ubuntu = "ubuntu22.04" if suffix else "ubuntu24.04"
        return f"nvidia/cuda:{cuda}-cudnn{suffix}-runtime-{ubuntu}"
    if conda and distro in _CONDA_BASES:
        return _CONDA_BASES[distro]
    if distro not in _BASES:
        raise BuildFailedError("image-needs-base", f"{distro[:64]!r} is no distribution known here")
    return _BASES[distro].format(python=python, digits=python.replace(".", ""))


def _instructions(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What would be done while a container image is made, besides its commands."""
    for section, names in _INSTRUCTIONS.items():
        described = _section(manifest, section)
        for name in names:
            if described.get(name):
                yield f"{section}.{name}: {str(described[name])[:200]}"


def _envs(manifest: Mapping[str, Any]) -> Iterator[Variable]:
    for each in manifest.get("envs") or ():
        if isinstance(each, Mapping):
            yield _variable(each.get("name"), each.get("value"), each.get("stage") or "all")


def _baked(docker: Mapping[str, Any]) -> Iterator[Variable]:
    """Before 1.2, a mapping or lines of ``NAME=value``."""
    given = docker.get("env") or {}
    if isinstance(given, Mapping):
        pairs = [(str(name), value) for name, value in given.items()]
    elif isinstance(given, list):
        pairs = [(name, value) for name, _, value in (str(each).partition("=") for each in given)]
    else:
        raise BuildFailedError("env-invalid", "'docker.env' is neither a mapping nor a list")
    yield from (_variable(name, value, "all") for name, value in pairs)


def _variable(name: Any, value: Any, stage: Any) -> Variable:
    text = "" if value is None else str(value)
    if not _ENV_NAME.fullmatch(str(name)) or "\0" in text or stage not in _STAGES:
        raise BuildFailedError("env-invalid", f"{str(name)[:80]!r} is no variable of an image")
    return Variable(str(name), text, stage)


def _section(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = manifest.get(name) or {}
    if not isinstance(found, Mapping):
        raise BuildFailedError("archive-invalid", f"'{name}' of bento.yaml is no mapping")
    return found


def _texts(section: Mapping[str, Any], name: str) -> Sequence[str]:
    found = section.get(name) or ()
    if not isinstance(found, list | tuple) or len(found) > _MOST:
        raise BuildFailedError("archive-invalid", f"'{name}' of bento.yaml is no list of commands")
    return [str(each) for each in found]
