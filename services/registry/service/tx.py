"""What one transaction of the registry reaches."""

from dataclasses import dataclass

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from services.registry.store import (
    AliasStore,
    BlobRows,
    FactStore,
    HoldRows,
    LineageRows,
    ListingRows,
    ManifestStore,
    OciStore,
    RegistryStore,
    RepositoryRows,
    RetentionRows,
    TransferRows,
    TrashRows,
    UnneededRows,
)


@dataclass(frozen=True, slots=True)
class Tx:
    store: RegistryStore
    facts: FactStore
    aliases: AliasStore
    blobs: BlobRows
    trash: TrashRows
    holds: HoldRows
    unneeded: UnneededRows
    retention: RetentionRows
    oci: OciStore
    manifests: ManifestStore
    outbox: Outbox
    transfers: TransferRows
    listings: ListingRows
    lineage: LineageRows
    repositories: RepositoryRows
    inbox: Inbox
