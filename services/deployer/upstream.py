"""The services that the deployer asks: the registry for bentos, the builder to keep images."""

from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from libs.chassis.client import OrgRef, Peer
from libs.chassis.errors import Kind, ServiceError
from libs.contracts.identity import Principal
from libs.contracts.registry import ResolvedBento
from services.deployer.domain.names import Tag
from services.deployer.domain.verdict import Verdict
from services.deployer.errors import BentoNotFoundError, BentoNotReadyError

_NO_MORE: Final = frozenset({Kind.NOT_FOUND, Kind.GONE})
_VERDICT: Final = TypeAdapter(Verdict)


class Registry:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def resolve(self, tag: Tag, principal: Principal) -> ResolvedBento:
        path = f"/internal/bentos/{tag.repository}/{tag.version}"
        try:
            answer = await self._peer.json("GET", path, org=OrgRef.of(principal))
        except ServiceError as error:
            if error.kind is Kind.NOT_FOUND:
                raise BentoNotFoundError(str(tag), error.detail) from error
            if error.kind is Kind.CONFLICT:
                raise BentoNotReadyError(str(tag), error.detail) from error
            raise
        return ResolvedBento.model_validate(answer)

    async def hold(
        self, revision_id: UUID, bento_id: UUID, *, deployment: str, org: OrgRef
    ) -> None:
        """The bento and its models stay, from now on or again. Idempotent by revision."""
        body = {"bento_id": str(bento_id), "deployment": deployment}
        await self._peer.json("PUT", f"/internal/holds/{revision_id}", org=org, body=body)

    async def release(self, revision_id: UUID, org: OrgRef) -> None:
        await self._peer.json("DELETE", f"/internal/holds/{revision_id}", org=org)


class Builder:
    """Holds are idempotent by revision."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def hold(self, revision_id: UUID, image_digest: str, org: OrgRef) -> bool:
        """Whether the image is there and stays; False when it is no more."""
        path = f"/internal/holds/{revision_id}"
        try:
            await self._peer.json("PUT", path, org=org, body={"image_digest": image_digest})
        except ServiceError as error:
            if error.kind in _NO_MORE:
                return False
            raise
        return True

    async def verdict(self, image_digest: str, org: OrgRef) -> Verdict:
        """Whether somebody signed it whom the platform believes."""
        path = f"/internal/images/{image_digest}/verdict"
        try:
            answer = await self._peer.json("GET", path, org=org)
        except ServiceError as error:
            if error.kind in _NO_MORE:
                return Verdict(trusted=False, reasons=("the builder has attested no such image",))
            raise
        return _VERDICT.validate_python(answer)

    async def release(self, revision_id: UUID, org: OrgRef) -> None:
        try:
            await self._peer.json("DELETE", f"/internal/holds/{revision_id}", org=org)
        except ServiceError as error:
            if error.kind not in _NO_MORE:
                raise
