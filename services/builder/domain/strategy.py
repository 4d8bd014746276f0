"""How an image is made, and why that way."""

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    ENVIRONMENT = "environment"
    """A folder on this machine, for its own processes."""
    ASSEMBLE = "assemble"
    """Layers written straight into an image: no container, no root, no code of anybody runs."""
    BUILDAH = "buildah"
    """The bento's own Dockerfile, run."""
    PREBUILT = "prebuilt"
    """An image that somebody else has built."""


@dataclass(frozen=True, slots=True)
class Verifies:
    """The image that must come out, and the base images (platform, digest) that it was made on."""

    digest: str
    bases: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever asked for the build wants of it. ``strategy`` None leaves it to the plan."""

    strategy: Strategy | None = None
    platforms: tuple[str, ...] = ()
    no_cache: bool = False
    image: str | None = None
    """The one that is taken as it is."""
    secrets: tuple[str, ...] = ()
    """Names of those that the build is given; later ones win over earlier ones."""
    verifies: Verifies | None = None

    def base(self, platform: str) -> str | None:
        """Digest of the base image that it must be made on; None for what is pinned."""
        return None if self.verifies is None else dict(self.verifies.bases).get(platform)


@dataclass(frozen=True, slots=True)
class Choice:
    """``why`` is what the user reads: a line for each reason, and for each thing left out."""

    strategy: Strategy
    why: tuple[str, ...]
    compiles: bool = False
    """Packages may have to be built from their source, which takes a compiler."""
