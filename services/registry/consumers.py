"""What the builder says of a bento's image, into the bento's own state."""

from typing import Any, Final

from libs.contracts.builder import ImageBuilt, ImageFailed, ImageRequested
from libs.contracts.event import Envelope, Event
from services.registry.service import Built, Registry

_STATUS: Final[dict[type[Event], str]] = {
    ImageRequested: "building",
    ImageBuilt: "success",
    ImageFailed: "failed",
}


class ImageConsumer:
    """Keeps ``image_build_status``; redeliveries change nothing."""

    def __init__(self, registry: Registry, *, consumer: str) -> None:
        self._registry = registry
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:
        del raw
        said = envelope.data
        built = Built(said.digest, said.revision_id) if isinstance(said, ImageBuilt) else None
        await self._registry.image_status(
            envelope.data.bento_id,
            _STATUS[type(envelope.data)],
            event_id=envelope.id,
            consumer=self._consumer,
            built=built,
        )
