"""The deployer's facts, each turned into the route it leaves behind."""

from collections.abc import Callable
from typing import Any

from libs.contracts.deployer import (
    DeploymentDeleted,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentRouted,
    DeploymentTerminated,
)
from libs.contracts.event import Envelope, Event
from services.gateway.domain import Deleted, Fact, Failed, Requested, Routed, Terminated
from services.gateway.service.routes import Routes, starting
from services.gateway.store import Origin


class RouteConsumer:
    """Idempotent by event id. ``on_change`` is called when the table has a new version."""

    def __init__(self, routes: Routes, *, consumer: str, on_change: Callable[[], None]) -> None:
        self._routes = routes
        self._consumer = consumer
        self._on_change = on_change

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:
        del raw
        data = envelope.data
        route = starting(
            data.deployment_id,
            org_id=envelope.orgid,
            namespace=data.namespace,
            deployment=data.deployment,
        )
        origin = Origin(
            event_id=envelope.id,
            correlation_id=envelope.correlationid,
            traceparent=envelope.traceparent,
            epoch=envelope.epoch,
            seq=envelope.entityseq,
        )
        if await self._routes.record(route, fact(data), origin, consumer=self._consumer):
            self._on_change()


def fact(event: Event) -> Fact:
    """What an event of the deployer says about a route."""
    match event:
        case DeploymentRequested():
            return Requested()
        case DeploymentFailed():
            return Failed(event.reason)
        case DeploymentRouted():
            return Routed(
                generation=event.generation,
                access_authorization=event.access_authorization,
                upstreams=tuple(each.url.rstrip("/") for each in event.upstreams),
            )
        case DeploymentTerminated():
            return Terminated(event.generation)
        case DeploymentDeleted():
            return Deleted()
        case _:
            raise TypeError(f"{event.name} says nothing about routes")
