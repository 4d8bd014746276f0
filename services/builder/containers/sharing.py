"""A build that takes layers from a registry, and leaves its own there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from services.builder.containers.recipe import Recipe
from services.builder.containers.steps import Steps
from services.builder.containers.workspace import BASE, Workspace
from services.builder.errors import BuildFailedError
from services.builder.oci import Door

_NAME: Final = f"localhost/{BASE}:latest"


async def build_shared(
    recipe: Recipe, cache: Door, *, work: Workspace, steps: Steps, fixed: tuple[str, ...]
) -> bool:
    """Whether it was built. A registry that is away costs a build nothing but time."""
    async with cache.open() as door:
        work.admit(door)
        inside = replace(steps, door=door)
        await steps.log.note("layers are looked for in the registry, one group after the other")
        try:
            for file in work.begun():
                _forget_names(steps.kept)
                await inside.begin(recipe, fixed, file=file)
            _forget_names(steps.kept)
            await inside.build(recipe, fixed, network=True)
        except BuildFailedError:
            if door.trouble is None:
                raise
    if door.trouble is not None:
        await steps.log.note(f"layers are not shared through the registry: {door.trouble}")
    return steps.iid.exists()


def _forget_names(storage: Path) -> None:
    """Of all images but the base: what is made on a layer has its name in its history.

    It has one where it was pulled, and none where it was made, and is found by its history.
    """
    for file in storage.glob("*-images/images.json"):
        images = json.loads(file.read_text())
        for image in images:
            image["names"] = [name for name in image.get("names") or () if name == _NAME]
        file.write_text(json.dumps(images))  # in place: it stays who it was whose it is
