"""A registry behind the gateway of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from libs.chassis.blobs import FileBlobs
from libs.chassis.idempotency import once
from libs.chassis.postgres import Database
from services.registry.http import REFUSALS, Urls, routes
from services.registry.service import Patience, use_cases
from services.registry.wiring import bind
from tests.support.edge import Surroundings
from tests.support.postgres import PostgresServer, pool_of


@asynccontextmanager
async def registry_behind(
    around: Surroundings, server: PostgresServer, folder: Path
) -> AsyncIterator[None]:
    """For gateways that are started while the context is entered."""
    async with server.database("registry") as url, pool_of(url) as pool:
        day = timedelta(days=1)
        store = FileBlobs(folder)
        database = Database(pool, bind)
        cases = use_cases(
            database,
            store,
            silence=timedelta(seconds=30),
            undo=day,
            patience=Patience(day, deleting=day, unknown=day),
        )
        honouring = partial(once, database=database)
        around.services["registry"] = routes(cases, store, Urls(None, None), once=honouring)
        around.forms.update(REFUSALS)
        yield
