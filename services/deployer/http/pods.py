"""Replicas as the pods that BentoML's clients look for, and their logs."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.podlogs import LogWish, Pod, show_log, show_pods
from libs.chassis.process import follow, tail
from services.deployer.domain.deployment import Replica
from services.deployer.domain.names import Address, known_cluster
from services.deployer.errors import DeploymentInvalidError, DeploymentNotFoundError
from services.deployer.service import Reading, Shown
from services.deployer.targets import Target

_PREFIX: Final = "replica"
_KIND: Final = "yatai.ai/bento-function-component-type"


class PodsApi:
    """A pod's name is ``replica.<deployment>.<replica>``, by their ids."""

    def __init__(self, reading: Reading, target: Target) -> None:
        self._reading = reading
        self._target = target

    def routes(self) -> list[Route]:
        read, top = "deployment.read", "/ws/v2/deployments/{name}/pods"
        tail = "/ws/v1/clusters/{cluster}/tail"
        return [
            Route("GET", top, self.pods, action=read, stream=True),
            Route("GET", tail, self.tail, action=read, stream=True),
        ]

    async def pods(self, request: web.Request) -> web.WebSocketResponse:
        """The replicas of a deployment; a WebSocket."""

        async def find() -> list[Pod]:
            shown = await self._named(request)
            replicas = await self._reading.replicas(shown.deployment.id)
            return [self._pod(shown, each) for each in replicas]

        return await show_pods(request, find)

    async def tail(self, request: web.Request) -> web.WebSocketResponse:
        """The log of a replica; a WebSocket."""
        org_id, pod = principal(request).org_id, request.query.get("pod_name", "")

        async def log(wish: LogWish) -> AsyncGenerator[bytes, None]:
            path = self._target.log_of(await self._replica(org_id, pod))
            if not wish.follow:
                yield tail(path, wish.tail_lines).encode()
                return
            async for line in follow(path, lines=wish.tail_lines):
                yield f"{line}\n".encode()

        return await show_log(request, log)

    async def _named(self, request: web.Request) -> Shown:
        name = request.match_info["name"]
        cluster = known_cluster(request.query.get("cluster", ""))
        try:
            address = Address.parse(name)
        except DeploymentInvalidError:
            raise DeploymentNotFoundError(name[:140]) from None
        return await self._reading.one(principal(request).org_id, cluster, address)

    def _pod(self, shown: Shown, replica: Replica) -> Pod:
        entry = shown.latest.layout[-1].name if shown.latest is not None else ""
        state = self._target.glance(replica).state
        return Pod(
            f"{_PREFIX}.{replica.deployment_id}.{replica.id}",
            shown.deployment.address.namespace,
            {_KIND: "api-server" if replica.service == entry else "runner"},
            runner=replica.service,
            status="Running" if state == "ready" else "Pending",
            ready=state == "ready",
        )

    async def _replica(self, org_id: UUID, pod: str) -> Replica:
        """Raises ``DeploymentNotFoundError`` for what is not the organisation's."""
        try:
            _, deployment, replica = pod.split(".")
            shown = await self._reading.by_id(UUID(deployment))
        except ValueError:
            raise DeploymentNotFoundError(f"pod {pod[:140]}") from None
        if shown is not None and shown.deployment.org_id == org_id:
            for each in await self._reading.replicas(shown.deployment.id):
                if str(each.id) == replica:
                    return each
        raise DeploymentNotFoundError(f"pod {pod[:140]}")
