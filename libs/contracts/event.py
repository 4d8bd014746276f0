"""The CloudEvents 1.0 envelope in which every fact travels, and the base of all facts."""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TYPE_PREFIX: Final = "dev.yokocho."
MAX_BYTES: Final = 256 * 1024
"""Largest envelope on the bus; anything bigger travels by reference and digest."""

Actor = Annotated[
    str, StringConstraints(pattern=r"^(user|token|service):[-A-Za-z0-9]+$", max_length=80)
]


class Event(BaseModel):
    """A fact, in the past tense. Readers ignore unknown fields; writers cannot set any."""

    model_config = ConfigDict(frozen=True)

    name: ClassVar[str]
    """Short name that people say: ``bento.pushed``."""
    major: ClassVar[int] = 1

    @property
    def entity_id(self) -> UUID:
        """The row this fact is about: last token of the subject, key of its order."""
        raise NotImplementedError  # abstract: each kind of event says which

    @classmethod
    def event_type(cls) -> str:
        """``dev.yokocho.bento.pushed.v1``."""
        return f"{TYPE_PREFIX}{cls.name}.v{cls.major}"

    @classmethod
    def subject_prefix(cls) -> str:
        """``evt.bento.pushed.v1``, to which org and entity id are appended."""
        return f"evt.{cls.name}.v{cls.major}"


AnyEvent = TypeVar("AnyEvent", bound=Event)


class Envelope(BaseModel, Generic[AnyEvent]):
    """CloudEvents in structured JSON; ``id`` is a UUIDv7 and the ``Nats-Msg-Id``.

    Stored and forwarded as the exact bytes first written, never re-serialised.
    """

    model_config = ConfigDict(frozen=True)

    specversion: str = Field(default="1.0", pattern=r"^1\.0$")
    id: UUID
    source: str = Field(description="`/yokocho/<service>`")
    type: str
    subject: str = Field(description="the subject on the bus")
    time: datetime
    datacontenttype: str = "application/json"
    orgid: UUID
    actor: Actor
    entityid: UUID
    entityseq: int = Field(ge=1, description="version of the entity's row, per source")
    epoch: int = Field(default=1, ge=1, description="raised by a restore; restarts entityseq")
    correlationid: str = Field(max_length=128)
    causationid: UUID | None = None
    traceparent: str | None = Field(default=None, max_length=64)
    data: AnyEvent


class EnvelopeHead(BaseModel):
    """The attributes of an envelope whatever its data: for the log, which stores bytes."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    orgid: UUID
    actor: Actor
    entityid: UUID
    entityseq: int
    epoch: int = 1
    correlationid: str
    causationid: UUID | None = None
    traceparent: str | None = None
