"""The deployer's secrets in the test's own process, opened for a builder beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.context import Cause, bound
from libs.chassis.http import build_app
from libs.chassis.keys import generate_keys
from libs.chassis.postgres import Database, Pool
from libs.chassis.sealing import Sealer, generate_sealing_key
from libs.contracts.identity import Principal
from services.deployer.domain.secret import Item, Kind, Stage
from services.deployer.errors import SecretExistsError
from services.deployer.http.secrets import SecretsApi
from services.deployer.service import Content, Secrets, Tx
from tests.support.builder import ADA, ORG
from tests.support.serving import always_ready, served


@dataclass(frozen=True, slots=True)
class Safe:
    url: str
    secrets: Secrets

    async def keep(self, name: str, stage: Stage = Stage.BUILD, **values: str) -> None:
        """Under a new name, or in place of what was there."""
        content = Content(Kind.ENV, stage, None, [(Item(key), values[key]) for key in values])
        who = Principal(actor="user:1", issuer="gateway", org_id=ORG, org="default", person=ADA)
        with bound(Cause(who.actor, ORG, "c1")):
            try:
                await self.secrets.create(name, content, description="", principal=who)
            except SecretExistsError:
                await self.secrets.replace(name, content, description=None, principal=who)


@asynccontextmanager
async def safe(pool: Pool, folder: Path) -> AsyncIterator[Safe]:
    """``folder`` has the keys of the services that are in ``building``."""
    generate_keys(folder / "keys", ["builder", "deployer", "gateway", "registry"])
    generate_sealing_key(folder / "sealing")
    secrets = Secrets(Database(pool, Tx.bind), Sealer(file=folder / "sealing"))
    app = build_app(
        SecretsApi(secrets).routes(),
        service="deployer",
        authenticate=service_authenticator(Verifier("deployer", folder / "keys" / "public.json")),
        ready=always_ready,
    )
    async with served(app) as url:
        yield Safe(url, secrets)
