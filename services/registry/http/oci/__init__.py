"""OCI distribution 1.1: images and artifacts below ``/v2/``, on the blobs of everything else."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from libs.chassis.http import Route
from services.registry.http.images import RulesApi
from services.registry.http.oci.answers import REFUSALS
from services.registry.http.oci.blobs import BlobsApi
from services.registry.http.oci.listings import ListingsApi
from services.registry.http.oci.manifests import ManifestsApi
from services.registry.http.oci.uploads import UploadsApi
from services.registry.service import UseCases

__all__ = ["REFUSALS", "oci_routes"]

_ISSUERS: Final = frozenset({"gateway", "builder"})
"""The gateway for people and machines; the builder keeps what it builds here."""


def oci_routes(cases: UseCases) -> list[Route]:
    specified = [
        Route("GET", "/v2/", _version, action="image.read"),
        *BlobsApi(cases.images, cases.integrity).routes(),
        *UploadsApi(cases.images, silence=cases.uploads.silence).routes(),
        *ManifestsApi(cases.manifests).routes(),
        *ListingsApi(cases.manifests).routes(),
    ]
    return [
        *(replace(each, issuers=_ISSUERS) for each in specified),
        *RulesApi(cases.manifests).routes(),
    ]


async def _version(_: web.Request) -> web.Response:
    """Clients ask this first: whether it is such a registry, and knows them."""
    return web.json_response({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})
