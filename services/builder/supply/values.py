"""What an image was made of, as its bill of materials and its provenance name it."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

from libs.contracts.types import Digest, Slug

Line = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=512)
]
"""Text that stays on one line, wherever it is shown."""

Hash = Annotated[str, StringConstraints(pattern=r"^sha(256|384|512):[0-9a-f]{64,128}$")]
"""As requirements files have them; sha256 nearly always."""

_SEPARATORS: Final = re.compile(r"[-_.]+")


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(Value):
    """An image: where it is (no tag), and what it is."""

    name: Line
    digest: Digest


class Bento(Value):
    repository: Slug
    version: Slug
    digest: Digest

    @property
    def tag(self) -> str:
        return f"{self.repository}:{self.version}"


class Model(Value):
    repository: Slug
    version: Slug
    digest: Digest

    @property
    def tag(self) -> str:
        return f"{self.repository}:{self.version}"


class Base(Value):
    """A base image. The reference is what somebody wrote; the digest is what was used."""

    reference: Line
    digest: Digest


class Pin(Value):
    """A line of the lock: one distribution, and the files of it that may be installed."""

    name: Line
    version: Line
    hashes: tuple[Hash, ...] = ()


def normal(name: str) -> str:
    """The name of a distribution, as packages compare them (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()
