"""The one taxonomy of trouble. Edges turn a kind into a status, an ack or a condition."""

from datetime import timedelta
from enum import Enum
from typing import ClassVar

from pydantic import JsonValue


class Kind(Enum):
    """What sort of trouble: decides who may try again, and how it is answered."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    GONE = "gone"
    TOO_LARGE = "too-large"
    EXHAUSTED = "exhausted"
    NO_SPACE = "no-space"
    UNAVAILABLE = "unavailable"

    @property
    def transient(self) -> bool:
        """The same attempt may succeed later, with nothing changed by who asks."""
        return self in {Kind.EXHAUSTED, Kind.NO_SPACE, Kind.UNAVAILABLE}


class ServiceError(Exception):
    """A refusal that somebody was meant to see. Anything else that is raised is a bug.

    ``code`` is a stable slug with a page of its own under ``docs/problems``; ``facts`` are
    sent to the caller beside ``detail``, so neither may hold a secret.
    """

    kind: ClassVar[Kind]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, detail: str, *, retry_after: timedelta | None = None, **facts: JsonValue
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.facts = facts
