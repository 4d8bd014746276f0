"""Use cases: versions and what is asked about them, the uploads that fill them, and their end."""

from services.registry.service.aliases import Aliases
from services.registry.service.archives import described, lock_in, walk_of
from services.registry.service.cases import UseCases, use_cases
from services.registry.service.collection import Collection, Patience, Taken
from services.registry.service.deletion import Deletion
from services.registry.service.holds import Holds, Revisions
from services.registry.service.inside import Inside
from services.registry.service.integrity import Checked, Integrity
from services.registry.service.lineage import Lineage
from services.registry.service.manifests import OciManifests
from services.registry.service.oci import OciBlobs, Piece
from services.registry.service.repositories import Repositories, Shelf
from services.registry.service.retention import Retentions
from services.registry.service.search import Found, Search
from services.registry.service.transfers import LIFETIME, Transfers
from services.registry.service.tx import Tx
from services.registry.service.uploads import INTERRUPTED, Flow, Uploads
from services.registry.service.verifying import Verifying
from services.registry.service.versions import Built, Listing, Registry

__all__ = [
    "INTERRUPTED",
    "LIFETIME",
    "Aliases",
    "Built",
    "Checked",
    "Collection",
    "Deletion",
    "Flow",
    "Found",
    "Holds",
    "Inside",
    "Integrity",
    "Lineage",
    "Listing",
    "OciBlobs",
    "OciManifests",
    "Patience",
    "Piece",
    "Registry",
    "Repositories",
    "Retentions",
    "Revisions",
    "Search",
    "Shelf",
    "Taken",
    "Transfers",
    "Tx",
    "Uploads",
    "UseCases",
    "Verifying",
    "described",
    "lock_in",
    "use_cases",
    "walk_of",
]
