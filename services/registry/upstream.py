"""The deployer, which is asked whether somebody still needs what nobody speaks for."""

from uuid import UUID

from libs.chassis.client import OrgRef, Peer
from libs.chassis.errors import Kind, ServiceError


class Deployer:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def exists(self, revision_id: UUID, org_id: UUID) -> bool:
        """Whether the revision may still run. Raises what any call can."""
        org = OrgRef(org_id, "")
        try:
            await self._peer.json("GET", f"/internal/revisions/{revision_id}", org=org)
        except ServiceError as error:
            if error.kind is Kind.NOT_FOUND:
                return False
            raise
        return True
