"""What one transaction of the registry reaches."""

from dataclasses import dataclass

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from services.registry.store import AliasStore, FactStore, ManifestStore, OciStore, RegistryStore


@dataclass(frozen=True, slots=True)
class Tx:
    store: RegistryStore
    facts: FactStore
    aliases: AliasStore
    oci: OciStore
    manifests: ManifestStore
    outbox: Outbox
    inbox: Inbox
