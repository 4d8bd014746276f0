"""What lies beside an image: who needs it, and what it is made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.builder.domain.build import Order


@dataclass(frozen=True, slots=True)
class Due:
    """An image that was built and has nothing beside it yet. ``plan`` is as it was stored."""

    order: Order
    strategy: str
    plan: Any
    plan_digest: str
    image_digest: str
    uri: str
    started_at: datetime
    ended_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What one layer says of packages: heads of wheels' METADATA, and dpkg's status."""

    wheels: tuple[str, ...] = ()
    debian: str | None = None
    distribution: str | None = None
