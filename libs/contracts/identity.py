"""Who is asking: the principal that every service sees, and the claims that carry it."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Actor
from libs.contracts.types import ServiceName


class Person(BaseModel):
    """The user behind a token, as the BentoML client wants to see creators."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    email: str
    first_name: str
    last_name: str


class Principal(BaseModel):
    """The verified caller of a request.

    ``issuer`` is the service that signed the identity; ``person`` is set only where the
    gateway speaks for a user. ``org_id`` fixes the tenant of everything the request does.
    """

    model_config = ConfigDict(frozen=True)

    actor: Actor
    issuer: ServiceName
    org_id: UUID
    org: str
    person: Person | None = None


class Claims(BaseModel):
    """Body of the JWT (EdDSA) between services; ``exp`` is at most 60 s after ``iat``."""

    iss: ServiceName
    aud: ServiceName
    sub: Actor
    iat: int
    exp: int
    org_id: UUID
    org: str
    person: Person | None = Field(default=None)
