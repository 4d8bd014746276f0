"""Events the registry publishes, and what it tells the builder and the deployer over HTTP."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from libs.contracts.event import Event
from libs.contracts.types import Digest, Slug


class ModelPushed(Event):
    """A model's bytes are stored and verified. Said again when other bytes replace them."""

    name: ClassVar[str] = "model.pushed"

    model_id: UUID
    repository: Slug = Field(description="the model's name, as people say it")
    version: Slug
    digest: Digest = Field(description="of the archive")
    size_bytes: int = Field(ge=0, description="of the archive")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.model_id


class BentoPushed(Event):
    """A bento's bytes are stored and verified; anyone may now build it.

    Said again with another digest by ``push -f``; what runs keeps its own digest.
    """

    name: ClassVar[str] = "bento.pushed"

    bento_id: UUID
    repository: Slug = Field(description="the bento's name, as people say it")
    version: Slug
    digest: Digest = Field(description="of the archive")
    size_bytes: int = Field(ge=0, description="of the archive")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.bento_id


class _OfModel(Event):
    model_id: UUID
    repository: Slug
    version: Slug

    @property
    @override
    def entity_id(self) -> UUID:
        return self.model_id


class _OfBento(Event):
    bento_id: UUID
    repository: Slug
    version: Slug

    @property
    @override
    def entity_id(self) -> UUID:
        return self.bento_id


class ModelDamaged(_OfModel):
    """A model's stored bytes are wrong and serve nobody: it is failed until pushed again."""

    name: ClassVar[str] = "model.damaged"

    digest: Digest = Field(description="that the bytes should have")
    found: Slug = Field(description="by a `read` or by a `check` on schedule")


class BentoDamaged(_OfBento):
    """A bento's stored bytes are wrong and serve nobody: it is failed until pushed again."""

    name: ClassVar[str] = "bento.damaged"

    digest: Digest = Field(description="that the bytes should have")
    found: Slug = Field(description="by a `read` or by a `check` on schedule")


class ModelDeleted(_OfModel):
    """A model is in the trash. What runs was not using it: a held version is not deleted."""

    name: ClassVar[str] = "model.deleted"

    digest: Digest | None = Field(description="of the archive; null where none was received")
    purge_at: datetime = Field(description="until then it can be brought back")
    reason: Slug = Field(description="`asked` by somebody, or by the rule of `retention`")


class BentoDeleted(_OfBento):
    """A bento is in the trash. What runs was not using it: a held version is not deleted."""

    name: ClassVar[str] = "bento.deleted"

    digest: Digest | None = Field(description="of the archive; null where none was received")
    purge_at: datetime = Field(description="until then it can be brought back")
    reason: Slug = Field(description="`asked` by somebody, or by the rule of `retention`")


class ModelRestored(_OfModel):
    """A model is back from the trash, as it was."""

    name: ClassVar[str] = "model.restored"


class BentoRestored(_OfBento):
    """A bento is back from the trash, as it was."""

    name: ClassVar[str] = "bento.restored"


class ModelPurged(_OfModel):
    """A model is gone for good; its bytes follow unless something else has the same."""

    name: ClassVar[str] = "model.purged"

    digest: Digest | None
    size_bytes: int = Field(ge=0)


class BentoPurged(_OfBento):
    """A bento is gone for good; its bytes follow unless something else has the same."""

    name: ClassVar[str] = "bento.purged"

    digest: Digest | None
    size_bytes: int = Field(ge=0)


class _OfAlias(Event):
    alias_id: UUID
    kind: Slug = Field(description="`bento` or `model`")
    repository: Slug
    alias: Slug

    @property
    @override
    def entity_id(self) -> UUID:
        return self.alias_id


class AliasMoved(_OfAlias):
    """A name of a version means another one from now on. What runs is pinned, and stays."""

    name: ClassVar[str] = "alias.moved"

    before: Slug | None = Field(description="the version it meant; null for a new alias")
    after: Slug = Field(description="the version it means")


class AliasRemoved(_OfAlias):
    """A name of a version means nothing any more."""

    name: ClassVar[str] = "alias.removed"

    before: Slug = Field(description="the version it meant")


class ModelReference(BaseModel):
    """A model that a bento needs, as stored when the bento was resolved."""

    model_config = ConfigDict(frozen=True)

    model_id: UUID
    repository: Slug
    version: Slug
    digest: Digest
    size_bytes: int


class ResolvedBento(BaseModel):
    """Answer of ``GET /internal/bentos/{repository}/{version}`` (``latest`` allowed).

    Only bentos whose upload succeeded and whose models are all stored resolve; anything
    else is a 404 or 409 problem that names what is missing. ``view`` is the BentoML wire
    form (bento with repository), to be shown unchanged inside deployments.
    """

    model_config = ConfigDict(frozen=True)

    bento_id: UUID
    repository: Slug
    version: Slug
    digest: Digest
    size_bytes: int
    manifest: dict[str, Any]
    models: tuple[ModelReference, ...] = ()
    pushed_traceparent: str | None = None
    view: dict[str, Any]
