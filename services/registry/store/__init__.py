"""All of the registry's SQL is here; none of its rules are."""

from services.registry.store.aliases import AliasStore
from services.registry.store.blobs import Affected, BlobRows
from services.registry.store.facts import FIRST_VALUE, FactStore
from services.registry.store.holds import HoldRows
from services.registry.store.lineage import LineageRows
from services.registry.store.listings import ListingRows
from services.registry.store.manifests import ManifestStore
from services.registry.store.oci import OciStore
from services.registry.store.repositories import RepositoryRows, Sizes
from services.registry.store.retention import RetentionRows
from services.registry.store.transfers import TransferRows
from services.registry.store.trash import TrashRows
from services.registry.store.unneeded import UnneededRows
from services.registry.store.versions import FIRST_OF_LIST, RegistryStore

__all__ = [
    "FIRST_OF_LIST",
    "FIRST_VALUE",
    "Affected",
    "AliasStore",
    "BlobRows",
    "FactStore",
    "HoldRows",
    "LineageRows",
    "ListingRows",
    "ManifestStore",
    "OciStore",
    "RegistryStore",
    "RepositoryRows",
    "RetentionRows",
    "Sizes",
    "TransferRows",
    "TrashRows",
    "UnneededRows",
]
