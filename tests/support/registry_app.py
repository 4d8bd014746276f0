"""The real registry in the test's own process, which can be away for some of its bytes."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.blobs import FileBlobs
from libs.chassis.client import PeerUnavailableError
from libs.chassis.http import build_app
from libs.chassis.postgres import Database
from libs.contracts.identity import Principal
from services.registry.http import Urls, routes
from services.registry.service import Patience, use_cases
from services.registry.service import Tx as RegistryTx
from tests.support.serving import always_ready


def registry_app(
    database: Database[RegistryTx], blobs: Path, *, keys: Path, away: Collection[str]
) -> web.Application:
    verified = service_authenticator(Verifier("registry", keys / "public.json"))

    async def authenticate(request: web.Request) -> Principal:
        if request.match_info.get("digest") in away:
            raise PeerUnavailableError("registry", "is away for a moment")
        return await verified(request)

    store = FileBlobs(blobs)
    day = timedelta(days=1)
    cases = use_cases(
        database, store, silence=day, undo=day, patience=Patience(day, deleting=day, unknown=day)
    )
    return build_app(
        routes(cases, store, Urls(None, None)),
        service="registry",
        authenticate=authenticate,
        ready=always_ready,
    )
