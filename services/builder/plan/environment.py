"""What an environment of this machine can be, and the digests that name it. Pure."""

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from services.builder.domain import Asked, Interpreter, Marks, Model
from services.builder.errors import BuildFailedError
from services.builder.plan.digest import FORMAT, digest

_SLIM: Final = re.compile(r"(?:docker\.io/)?(?:library/)?python:3\.\d+(?:\.\d+)?-slim")


def require_environment(asked: Asked) -> None:
    """Refuses a bento that needs more than packages, by its name."""
    for command in asked.commands:
        raise BuildFailedError(
            "image-needs-commands", f"the bento's image runs a command: {command}"
        )
    baked = [f"docker.env: {each.name}" for each in asked.baked]
    for instruction in (*asked.instructions, *baked):
        raise BuildFailedError("image-needs-commands", f"the bento asks for {instruction}")
    if not _SLIM.fullmatch(asked.base):
        raise BuildFailedError(
            "image-needs-base",
            f"the bento asks for base image {asked.base}; only python:X.Y-slim is one",
        )


def environment_digest(
    lock: str, interpreter: Interpreter, *, org_id: UUID | None = None, marks: Marks = ()
) -> str:
    """Of wheels alone, the same for everybody; with ``org_id`` of what was built from source.

    What runs while a package is built is its author's to choose, so only the organisation that
    asked for it gets the result. So with what was fetched with its secrets, by their ``marks``.
    """
    pinned = [each for each in lock.splitlines() if each.strip() and not each.startswith("#")]
    own: list[object] = [str(org_id)] if org_id is not None else []
    own += [marks] if marks else []
    return digest([FORMAT, interpreter.version, interpreter.platform, pinned, *own])


def image_digest(environment: str, bento_digest: str, models: Iterable[Model]) -> str:
    """Of everything that goes into the image, whatever the order of its models."""
    pinned = sorted([each.repository, each.version, each.digest] for each in models)
    return digest([FORMAT, environment, bento_digest, pinned])
