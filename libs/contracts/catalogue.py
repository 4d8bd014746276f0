"""Every event by its type."""

from types import MappingProxyType
from typing import Any, Final

from libs.contracts.bus import PUBLISHED
from libs.contracts.event import Envelope, Event

EVENTS: Final = MappingProxyType(
    {event.event_type(): event for events in PUBLISHED.values() for event in events}
)

PUBLISHER: Final = MappingProxyType(
    {event.event_type(): service for service, events in PUBLISHED.items() for event in events}
)


def decode(raw: bytes, event: type[Event]) -> Envelope[Any]:
    """Raises ``pydantic.ValidationError`` when the bytes are no envelope of that event."""
    return Envelope[event].model_validate_json(raw)  # type: ignore[valid-type]  # parametrised at run time
