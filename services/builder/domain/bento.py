"""What a bento says of the image that it wants, whichever client packed it."""

from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["all", "build", "runtime"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One of the manifest's ``envs``. Without a value whoever runs it has to give one."""

    name: str
    value: str
    stage: Stage = "all"


@dataclass(frozen=True, slots=True)
class Described:
    """What is read from a bento's archive once: everything that a plan depends on.

    ``requirements`` are the author's own lines; ``brings`` are files of packages in the archive.
    """

    manifest: dict[str, Any]
    requirements: str
    brings: tuple[str, ...]
    files: tuple[str, ...]
    """Which of the files that containers need are there: Dockerfile, entrypoint."""


@dataclass(frozen=True, slots=True)
class Asked:
    """``base`` is a reference as its author wrote it, or the default of its distribution.

    ``instructions`` are what only a container's own tools can do, each in words.
    """

    bentoml: str
    python: str
    base: str
    commands: tuple[str, ...]
    dropped: tuple[str, ...]
    instructions: tuple[str, ...]
    envs: tuple[Variable, ...]
    baked: tuple[Variable, ...]
    """What clients before 1.2 wrote into their Dockerfile, and not into the manifest."""
