"""All use cases, on one database and one store."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.chassis.blobs import BlobStore
from libs.chassis.postgres import Database
from services.registry.domain import Strategy
from services.registry.service.aliases import Aliases
from services.registry.service.collection import Collection, Patience
from services.registry.service.deletion import Deletion
from services.registry.service.holds import Holds
from services.registry.service.inside import Inside
from services.registry.service.integrity import Integrity
from services.registry.service.lineage import Lineage
from services.registry.service.manifests import OciManifests
from services.registry.service.oci import OciBlobs
from services.registry.service.repositories import Repositories
from services.registry.service.retention import Retentions
from services.registry.service.search import Search
from services.registry.service.transfers import Transfers
from services.registry.service.tx import Tx
from services.registry.service.uploads import Uploads
from services.registry.service.verifying import Verifying
from services.registry.service.versions import Registry


@dataclass(frozen=True, slots=True)
class UseCases:
    registry: Registry
    repositories: Repositories
    uploads: Uploads
    integrity: Integrity
    search: Search
    lineage: Lineage
    aliases: Aliases
    deletion: Deletion
    retentions: Retentions
    collection: Collection
    holds: Holds
    images: OciBlobs
    manifests: OciManifests
    transfers: Transfers
    verifying: Verifying
    inside: Inside


def use_cases(
    database: Database[Tx],
    store: BlobStore,
    *,
    silence: timedelta,
    undo: timedelta,
    patience: Patience,
    strategy: Strategy = Strategy.PROXY,
    woken: Callable[[], None] = lambda: None,
) -> UseCases:
    integrity = Integrity(database, store)
    uploads = Uploads(database, store, silence=silence)
    deletion = Deletion(database, undo=undo)
    images = OciBlobs(database, store, stay=patience.unneeded)
    return UseCases(
        registry=Registry(database),
        repositories=Repositories(database),
        uploads=uploads,
        integrity=integrity,
        inside=Inside(database, integrity),
        search=Search(database),
        lineage=Lineage(database),
        aliases=Aliases(database),
        deletion=deletion,
        retentions=Retentions(database, deletion),
        collection=Collection(database, store, deletion=deletion, images=images, patience=patience),
        holds=Holds(database),
        images=images,
        manifests=OciManifests(database),
        transfers=Transfers(database, store, woken=woken, default=strategy),
        verifying=Verifying(database, store, uploads),
    )
