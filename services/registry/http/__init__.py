"""BentoML's v1 tree for bentos and models, their bytes, and what other services ask."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from libs.chassis.blobs import BlobStore
from libs.chassis.http import Route, described_by
from libs.chassis.problems import json_response
from services.registry.domain import Kind
from services.registry.http.aliases import AliasApi
from services.registry.http.bytes import BytesApi
from services.registry.http.collection import CollectionApi
from services.registry.http.deletion import DeletionApi
from services.registry.http.inside import InsideApi
from services.registry.http.internal import InternalApi
from services.registry.http.lineage import LineageApi
from services.registry.http.oci import oci_routes
from services.registry.http.operators import OperatorsApi
from services.registry.http.refusals import REFUSALS
from services.registry.http.repositories import LabelsApi, RepositoriesApi
from services.registry.http.search import SearchApi
from services.registry.http.signed import SignedApi
from services.registry.http.transfers import TransferApi, Urls
from services.registry.http.versions import VersionsApi
from services.registry.service import UseCases

__all__ = ["DOCUMENT", "REFUSALS", "TITLE", "Urls", "oci_routes", "routes"]

Once = Callable[[Handler], Handler]

TITLE: Final = "Yokocho registry"
DOCUMENT: Final = "/api/registry/openapi.json"


def routes(
    cases: UseCases, store: BlobStore, urls: Urls, *, once: Once = lambda it: it
) -> list[Route]:
    """Everything the registry answers. ``once`` makes a handler honour ``Idempotency-Key``."""
    found = [
        *(route for kind in Kind for route in _of_kind(cases, store, urls, kind=kind)),
        *LineageApi(cases).routes(),
        *LabelsApi(cases).routes(),
        *OperatorsApi(cases.registry).routes(),
        *CollectionApi(cases.deletion, cases.collection).routes(),
        *InternalApi(cases.registry, cases.integrity, cases.holds).routes(),
        *SignedApi(cases, store).routes(),
        *oci_routes(cases),
    ]
    described = json_response(described_by(TITLE, found))

    async def describe(_: web.Request) -> web.Response:
        return web.Response(body=described.body, content_type="application/json")

    return [
        *(
            replace(each, handler=once(each.handler))
            if each.operation and each.operation.once
            else each
            for each in found
        ),
        Route("GET", DOCUMENT, describe, action="api.read"),
    ]


def _of_kind(cases: UseCases, store: BlobStore, urls: Urls, *, kind: Kind) -> list[Route]:
    registry = cases.registry
    return [
        *RepositoriesApi(cases, kind).routes(),
        *VersionsApi(cases, kind).routes(),
        *BytesApi(cases, store, kind=kind).routes(),
        *TransferApi(cases, urls, kind=kind).routes(),
        *SearchApi(cases.search, kind).routes(),
        *InsideApi(cases, kind=kind).routes(),
        *AliasApi(registry, cases.aliases, kind).routes(),
        *DeletionApi(cases, kind=kind).routes(),
    ]
