"""Why the current task does what it does: who asked, in which request, after which event."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_CAUSE: Final[ContextVar["Cause"]] = ContextVar("cause")


@dataclass(frozen=True, slots=True)
class Cause:
    """What every event that is appended now will name as its origin."""

    actor: str
    org_id: UUID
    correlation_id: str
    causation_id: UUID | None = None
    traceparent: str | None = None


@contextmanager
def bound(cause: Cause) -> Iterator[Cause]:
    """Everything inside happens because of ``cause``."""
    token = _CAUSE.set(cause)
    try:
        yield cause
    finally:
        _CAUSE.reset(token)


def current() -> Cause:
    """Raises ``LookupError`` where nobody bound a cause: an event needs one."""
    return _CAUSE.get()
