"""Use cases: versions and what is asked about them, and the uploads that fill them."""

from services.registry.service.aliases import Aliases
from services.registry.service.lineage import Lineage
from services.registry.service.manifests import OciManifests
from services.registry.service.oci import OciBlobs, Piece
from services.registry.service.search import Found, Search
from services.registry.service.tx import Tx
from services.registry.service.uploads import INTERRUPTED, Flow, Uploads
from services.registry.service.versions import Listing, Registry

__all__ = [
    "INTERRUPTED",
    "Aliases",
    "Flow",
    "Found",
    "Lineage",
    "Listing",
    "OciBlobs",
    "OciManifests",
    "Piece",
    "Registry",
    "Search",
    "Tx",
    "Uploads",
]
