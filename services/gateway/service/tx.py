"""What a use case of the gateway reaches inside one transaction."""

from dataclasses import dataclass
from typing import Self

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from libs.chassis.postgres import Connection
from services.gateway.store import IdentityStore, PlaneStore, RouteStore

SERVICE = "gateway"


@dataclass(frozen=True, slots=True)
class Tx:
    identities: IdentityStore
    routes: RouteStore
    planes: PlaneStore
    inbox: Inbox
    outbox: Outbox

    @classmethod
    def bind(cls, connection: Connection, *, epoch: int = 1) -> Self:
        return cls(
            identities=IdentityStore(connection),
            routes=RouteStore(connection),
            planes=PlaneStore(connection),
            inbox=Inbox(connection),
            outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        )
