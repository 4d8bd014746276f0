"""JetStream: publish batches, deliver messages. The only part that speaks to the bus."""

from libs.chassis.bus.connection import Bus, connect, join
from libs.chassis.bus.delivery import Delivery, Handler, backoff
from libs.chassis.bus.errors import (
    BatchDuplicateError,
    BusLostError,
    BusRefusedError,
    BusUnavailableError,
    FencedError,
)
from libs.chassis.bus.publishing import Message, Publisher
from libs.chassis.bus.streams import StreamState
from libs.chassis.bus.subscription import Subscription

__all__ = [
    "BatchDuplicateError",
    "Bus",
    "BusLostError",
    "BusRefusedError",
    "BusUnavailableError",
    "Delivery",
    "FencedError",
    "Handler",
    "Message",
    "Publisher",
    "StreamState",
    "Subscription",
    "backoff",
    "connect",
    "join",
]
