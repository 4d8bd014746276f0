"""Events the builder listens to, each turned into one use case."""

from typing import Any

from libs.contracts.deployer import DeploymentRequested
from libs.contracts.event import Envelope
from libs.contracts.registry import BentoPurged, BentoPushed
from services.builder.service import Builds, Pushes


class RequestsConsumer:
    """A revision needs an image."""

    def __init__(self, builds: Builds, *, consumer: str) -> None:
        self._builds = builds
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:  # noqa: ARG002  # bytes are for logs
        if isinstance(envelope.data, DeploymentRequested):
            await self._builds.request(envelope, consumer=self._consumer)


class BentosConsumer:
    """A bento may be wanted as an image, or is gone."""

    def __init__(self, pushes: Pushes, *, consumer: str) -> None:
        self._pushes = pushes
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:  # noqa: ARG002  # bytes are for logs
        if isinstance(envelope.data, BentoPushed):
            await self._pushes.pushed(envelope, consumer=self._consumer)
        elif isinstance(envelope.data, BentoPurged):
            await self._pushes.purged(envelope, consumer=self._consumer)
