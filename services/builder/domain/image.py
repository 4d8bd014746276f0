"""Parts of a container image, as the builder keeps them in mind."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Layer:
    """``digest`` is of the bytes as they are pushed, ``diff_id`` of the tar in them."""

    digest: str
    diff_id: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Made:
    """A container image that was pushed.

    ``registry`` is empty for the platform's own; ``size_bytes`` is what its layers take.
    """

    digest: str
    size_bytes: int
    repository: str
    tag: str
    registry: str = ""

    @property
    def uri(self) -> str:
        host = f"{self.registry}/" if self.registry else ""
        tag = f":{self.tag}" if self.tag else ""
        return f"oci://{host}{self.repository}{tag}@{self.digest}"


@dataclass(frozen=True, slots=True)
class BasePython:
    """The interpreter that was found in an image."""

    path: str
    version: str
    """To the patch level: packages may ask for it."""

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class PinnedBase:
    """A base image as people see it. ``source`` is ``pull`` or ``import``."""

    reference: str
    platform: str
    digest: str
    source: str
    pinned_at: datetime


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One platform of an image that others are built on, as it was when it was pinned.

    ``platform`` is ``linux/amd64``; ``libc`` is ``glibc 2.36`` or ``musl 1.2``. ``accounts``
    are the texts of its ``/etc/passwd`` and ``/etc/group``.
    """

    reference: str
    digest: str
    """Of this platform's manifest."""
    platform: str
    layers: tuple[Layer, ...]
    env: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    pythons: tuple[BasePython, ...]
    libc: str
    has_bash: bool
    passwd: str
    group: str

    def python(self, version: str) -> BasePython | None:
        """The one of ``3.11``, if it has it."""
        for each in self.pythons:
            if each.version == version or each.version.startswith(f"{version}."):
                return each
        return None
