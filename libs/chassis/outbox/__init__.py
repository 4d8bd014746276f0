"""Facts leave through here: appended in their transaction, then relayed to the bus."""

from libs.chassis.outbox.append import EventTooLargeError, Outbox
from libs.chassis.outbox.relay import Relay

__all__ = ["EventTooLargeError", "Outbox", "Relay"]
