"""One transaction of the builder: its tables, its inbox and what it says."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from libs.chassis.postgres import Connection
from libs.contracts.event import Event
from services.builder.store import (
    AttestStore,
    BuildStore,
    HoldStore,
    PreferenceStore,
    RecipeStore,
    SharedStore,
    UpkeepStore,
)

SERVICE: Final = "builder"


@dataclass(frozen=True, slots=True)
class Tx:
    builds: BuildStore
    attestations: AttestStore
    holds: HoldStore
    recipes: RecipeStore
    preferences: PreferenceStore
    shared: SharedStore
    upkeep: UpkeepStore
    inbox: Inbox
    outbox: Outbox

    @classmethod
    def bind(cls, connection: Connection, *, epoch: int = 1) -> "Tx":
        return cls(
            builds=BuildStore(connection),
            attestations=AttestStore(connection),
            holds=HoldStore(connection),
            recipes=RecipeStore(connection),
            preferences=PreferenceStore(connection),
            shared=SharedStore(connection),
            upkeep=UpkeepStore(connection),
            inbox=Inbox(connection),
            outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        )

    async def say(self, event: Event, *, org_id: UUID) -> None:
        """Append a fact about a build, numbered by its row."""
        seq = await self.builds.advance(event.entity_id)
        await self.outbox.append(event, entity_seq=seq, org_id=org_id)
