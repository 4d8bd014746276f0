"""BentoML's v1 tree for bentos and models, their bytes, and what other services ask."""

from libs.chassis.blobs import BlobStore
from libs.chassis.http import Route
from services.registry.domain import Kind
from services.registry.http.aliases import AliasApi
from services.registry.http.bytes import BytesApi
from services.registry.http.deletion import CollectionApi, DeletionApi
from services.registry.http.internal import InternalApi
from services.registry.http.lineage import LineageApi
from services.registry.http.oci import REFUSALS, oci_routes
from services.registry.http.search import SearchApi
from services.registry.http.versions import VersionsApi
from services.registry.service import UseCases

__all__ = ["REFUSALS", "oci_routes", "routes"]


def routes(cases: UseCases, store: BlobStore) -> list[Route]:
    """Everything the registry answers."""
    return [
        *(route for kind in Kind for route in _of_kind(cases, store, kind)),
        *LineageApi(cases.registry, cases.lineage).routes(),
        *CollectionApi(cases.deletion, cases.collection).routes(),
        *InternalApi(cases.registry, cases.integrity, cases.holds).routes(),
        *oci_routes(cases),
    ]


def _of_kind(cases: UseCases, store: BlobStore, kind: Kind) -> list[Route]:
    registry = cases.registry
    sending = BytesApi(registry, cases.uploads, store, integrity=cases.integrity, kind=kind)
    return [
        *VersionsApi(registry, kind).routes(),
        *sending.routes(),
        *SearchApi(cases.search, kind).routes(),
        *AliasApi(registry, cases.aliases, kind).routes(),
        *DeletionApi(registry, cases.deletion, cases.retentions, kind=kind).routes(),
    ]
