"""What an image was made of, as its bill of materials and its provenance name it."""

from dataclasses import asdict
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from libs.contracts.types import Digest, Slug
from services.builder.errors import SupplyError
from services.builder.plan.lock import locked

Line = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=512)
]
"""Text that stays on one line, wherever it is shown."""

Hash = Annotated[str, StringConstraints(pattern=r"^sha(256|384|512):[0-9a-f]{64,128}$")]
"""As requirements files have them; sha256 nearly always."""

Reference = Annotated[
    str,
    StringConstraints(
        pattern=r"^[\[a-zA-Z0-9][-\[\]a-zA-Z0-9._:/]{0,510}(@sha256:[0-9a-f]{64})?$", max_length=600
    ),
]
"""Of an image. Nobody's password fits into it."""

_T = TypeVar("_T")


def each_once(values: tuple[_T, ...]) -> tuple[_T, ...]:
    """A set in an order, so that equal values are equal bytes."""
    return tuple(sorted(set(values), key=repr))


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Subject(Value):
    """An image: where it is (no tag), and what it is."""

    name: Reference
    digest: Digest


class _Version(Value):
    repository: Slug
    version: Slug
    digest: Digest

    @property
    def tag(self) -> str:
        return f"{self.repository}:{self.version}"


class Bento(_Version):
    pass


class Model(_Version):
    pass


class Base(Value):
    """A base image. The reference is what somebody wrote; the digest is what was used."""

    reference: Reference
    digest: Digest


class Pin(Value):
    """A line of the lock: one distribution, and the files of it that may be installed."""

    name: Line
    version: Line
    hashes: Annotated[tuple[Hash, ...], AfterValidator(each_once)] = ()


def pins_of(lock: str) -> tuple[Pin, ...]:
    try:
        return tuple(Pin(**asdict(each)) for each in locked(lock))
    except ValidationError as error:
        raise SupplyError(
            f"a hash of the lock cannot be read: {error.errors()[0]['msg']}"
        ) from error
