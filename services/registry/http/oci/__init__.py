"""OCI distribution 1.1: images and artifacts below ``/v2/``, on the blobs of everything else."""

from datetime import timedelta

from aiohttp import web

from libs.chassis.blobs import FileBlobs
from libs.chassis.http import Route
from services.registry.http.images import RulesApi
from services.registry.http.oci.answers import REFUSALS
from services.registry.http.oci.blobs import BlobsApi
from services.registry.http.oci.listings import ListingsApi
from services.registry.http.oci.manifests import ManifestsApi
from services.registry.http.oci.uploads import UploadsApi
from services.registry.service import OciBlobs, OciManifests

__all__ = ["REFUSALS", "oci_routes"]


def oci_routes(
    images: OciBlobs, manifests: OciManifests, blobs: FileBlobs, *, silence: timedelta
) -> list[Route]:
    return [
        Route("GET", "/v2/", _version, action="image.read"),
        *BlobsApi(images, blobs).routes(),
        *UploadsApi(images, silence=silence).routes(),
        *ManifestsApi(manifests).routes(),
        *ListingsApi(manifests).routes(),
        *RulesApi(manifests).routes(),
    ]


async def _version(_: web.Request) -> web.Response:
    """Clients ask this first: whether it is such a registry, and knows them."""
    return web.json_response({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})
