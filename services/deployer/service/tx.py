"""One transaction of the deployer: its tables, its inbox and what it says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from libs.chassis import context, telemetry
from libs.chassis.context import Cause
from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from libs.chassis.postgres import Connection
from libs.contracts.event import Event
from services.deployer.store import DeploymentStore, ReplicaStore, RevisionStore, SecretStore

SERVICE: Final = "deployer"


@dataclass(frozen=True, slots=True)
class Tx:
    deployments: DeploymentStore
    revisions: RevisionStore
    replicas: ReplicaStore
    secrets: SecretStore
    inbox: Inbox
    outbox: Outbox

    @classmethod
    def bind(cls, connection: Connection, *, epoch: int = 1) -> "Tx":
        return cls(
            deployments=DeploymentStore(connection),
            revisions=RevisionStore(connection),
            replicas=ReplicaStore(connection),
            secrets=SecretStore(connection),
            inbox=Inbox(connection),
            outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        )

    async def say(self, event: Event, *, org_id: UUID) -> None:
        """Append a fact about a deployment, numbered by its row."""
        seq = await self.deployments.advance(event.entity_id)
        await self.outbox.append(event, entity_seq=seq, org_id=org_id)


@contextmanager
def because(cause: Cause, name: str) -> Iterator[None]:
    """Do something that a request asked for earlier: in its name and in its trace."""
    with (
        telemetry.tracer().start_as_current_span(
            name, context=telemetry.remote_context(cause.traceparent)
        ),
        context.bound(replace(cause, traceparent=telemetry.traceparent() or cause.traceparent)),
    ):
        yield
