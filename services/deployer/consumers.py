"""Events the deployer listens to, each turned into one use case."""

from typing import Any

from libs.contracts.builder import ImageBuilt, ImageFailed
from libs.contracts.event import Envelope
from services.deployer.service import Rollouts


class ImagesConsumer:
    """A revision may run, or will not."""

    def __init__(self, rollouts: Rollouts, *, consumer: str) -> None:
        self._rollouts = rollouts
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:  # noqa: ARG002  # bytes are for logs
        if isinstance(envelope.data, ImageBuilt):
            await self._rollouts.image_built(envelope, self._consumer)
        elif isinstance(envelope.data, ImageFailed):
            await self._rollouts.image_failed(envelope, self._consumer)


class RoutesConsumer:
    """Traffic has arrived where it was sent."""

    def __init__(self, rollouts: Rollouts, *, consumer: str) -> None:
        self._rollouts = rollouts
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:  # noqa: ARG002  # bytes are for logs
        await self._rollouts.route_applied(envelope, self._consumer)
