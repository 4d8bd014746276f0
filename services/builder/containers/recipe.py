"""What an image is built from. Nothing of it is ever a part of a line of shell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.builder.errors import BuildFailedError
from services.builder.oci import Door

_PINNED: Final = re.compile(r"[a-z0-9][A-Za-z0-9./:_-]*@sha256:[0-9a-f]{64}")
_ARGUMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that enters the result.

    ``context`` is the unpacked bento with its models. ``base`` replaces the image of the
    Dockerfile's FROM: a reference with a digest, or the folder of an OCI image layout.
    ``drop`` are commands that are left out. ``cache`` leads to layers that other builders have
    made; a ``fresh`` build takes none, wherever they are.
    """

    context: Path
    dockerfile: Path
    base: str | Path | None = None
    plain_http: bool = False
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = "linux/amd64"
    drop: tuple[str, ...] = ()
    cache: Door | None = field(default=None, repr=False)
    fresh: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.base, str) and not _PINNED.fullmatch(self.base):
            raise _refused(f"base image {self.base!r} is not pinned by its digest")
        if not _PLATFORM.fullmatch(self.platform):
            raise _refused(f"{self.platform!r} is no platform")
        _check("build argument", _ARGUMENT, self.build_args)
        _check("label", _NAME, self.labels)
        _check("secret", _NAME, self.secrets)

    @property
    def shares(self) -> bool:
        """What secrets helped to make nobody finds again."""
        return not self.secrets and not self.fresh


def _check(kind: str, names: re.Pattern[str], given: Mapping[str, str]) -> None:
    for name, value in given.items():
        if not names.fullmatch(name):
            raise _refused(f"{name!r} is no name of a {kind}")
        if kind != "secret" and "\0" in value:
            raise _refused(f"{kind} {name} has a NUL in its value")


def _refused(reason: str) -> BuildFailedError:
    return BuildFailedError("dockerfile-refused", reason)
