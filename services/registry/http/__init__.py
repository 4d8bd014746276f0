"""BentoML's v1 tree for bentos and models, their bytes, and what other services ask."""

from libs.chassis.blobs import FileBlobs
from libs.chassis.http import Route
from services.registry.domain import Kind
from services.registry.http.aliases import AliasApi
from services.registry.http.bytes import BytesApi
from services.registry.http.internal import InternalApi
from services.registry.http.lineage import LineageApi
from services.registry.http.oci import REFUSALS, oci_routes
from services.registry.http.search import SearchApi
from services.registry.http.versions import VersionsApi
from services.registry.service import Aliases, Lineage, Registry, Search, Uploads

__all__ = ["REFUSALS", "alias_routes", "lineage_routes", "oci_routes", "routes", "search_routes"]


def search_routes(search: Search) -> list[Route]:
    return [route for kind in Kind for route in SearchApi(search, kind).routes()]


def alias_routes(registry: Registry, aliases: Aliases) -> list[Route]:
    return [route for kind in Kind for route in AliasApi(registry, aliases, kind).routes()]


def lineage_routes(registry: Registry, lineage: Lineage) -> list[Route]:
    return LineageApi(registry, lineage).routes()


def routes(registry: Registry, uploads: Uploads, blobs: FileBlobs) -> list[Route]:
    """Everything the registry answers."""
    return [
        *(route for kind in Kind for route in VersionsApi(registry, kind).routes()),
        *(
            route
            for kind in Kind
            for route in BytesApi(registry, uploads, blobs, kind=kind).routes()
        ),
        *InternalApi(registry, blobs).routes(),
    ]
