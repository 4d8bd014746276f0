"""Which way an image is made, in words that the user reads. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from services.builder.domain import Asked, Choice, Strategy, Wish
from services.builder.errors import BuildFailedError

_NEED_NO_RUN: Final = "wheels of an index are all that it needs: no container, no root"


def choose(
    asked: Asked, wish: Wish, *, from_source: Sequence[str], brings: Sequence[str]
) -> Choice:
    """Raises ``BuildFailedError`` where the wish cannot be granted.

    ``from_source`` are requirements that have to be built, ``brings`` packages that came along.
    """
    if wish.strategy is Strategy.PREBUILT and wish.image is None:
        raise BuildFailedError("strategy-impossible", "no image was given that is there already")
    if wish.image is not None:
        return Choice(Strategy.PREBUILT, (f"the image {wish.image} was given",))
    needs = list(_needs(asked, from_source, brings))
    left_out = [
        f"left out, as packages come as wheels: {each}" for each in dict.fromkeys(asked.dropped)
    ]
    if not needs and wish.strategy in {None, Strategy.ASSEMBLE}:
        return Choice(Strategy.ASSEMBLE, (_NEED_NO_RUN, *left_out))
    if wish.strategy is Strategy.ASSEMBLE:
        raise BuildFailedError(
            "strategy-impossible", "its image cannot be assembled:\n" + "\n".join(needs)
        )
    why = needs or ["it was asked for"]
    compiles = bool(from_source) or any(not each.endswith(".whl") for each in brings)
    return Choice(Strategy.BUILDAH, tuple(why), compiles=compiles)


def _needs(asked: Asked, from_source: Sequence[str], brings: Sequence[str]) -> Iterator[str]:
    yield from (f"it runs a command: {each}" for each in asked.commands)
    yield from (f"it asks for {each}" for each in asked.instructions)
    yield from (f"no wheel satisfies the requirement {each}" for each in from_source)
    yield from (f"it brings a package of its own: {each}" for each in brings)
