"""What one transaction of the registry reaches."""

from dataclasses import dataclass

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from services.registry.store import RegistryStore


@dataclass(frozen=True, slots=True)
class Tx:
    store: RegistryStore
    outbox: Outbox
    inbox: Inbox
