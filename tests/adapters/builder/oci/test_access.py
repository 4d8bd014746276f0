"""Who asks: names and passwords, identities, and whom they are told."""

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from services.builder.errors import BuildFailedError
from services.builder.oci import (
    Access,
    AnonymousAccess,
    BasicAccess,
    CalledAccess,
    Credentials,
    TokenAccess,
)
from services.builder.oci.access import credentials_of
from tests.adapters.builder.oci.conftest import ADA, SECRET, at, pieces, shown
from tests.support.authorities import Authority
from tests.support.nats import NatsServer
from tests.support.oci_registries import registry_of
from tests.support.postgres import PostgresServer
from tests.support.registry import ORG, PERSON
from tests.support.registry_process import registry_process

HTPASSWD = "ada:$2b$04$nBfRmLQUglnpUnya5GQE4OxnW2LH/ViK1rktUU/rJIeoo.7UZlkTi\n"


@pytest.fixture
def behind_passwords(tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "htpasswd"
    file.write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": 'images, "quoted" ones', "path": str(file)}}
    with registry_of("docker-registry", tmp_path / "registry", auth=auth) as url:
        yield url


@pytest.mark.parametrize("when", ["always", "asked", "configured"])
async def test_a_password_lets_in(
    session: aiohttp.ClientSession, behind_passwords: str, when: str
) -> None:
    auth = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    host = behind_passwords.removeprefix("http://")
    configured = credentials_of(json.dumps({"auths": {host: {"auth": auth}}}), host)
    ways: dict[str, Access] = {
        "always": BasicAccess("ada", SECRET),
        "asked": TokenAccess(session, ADA),
        "configured": TokenAccess(session, configured),
    }
    remote = at(session, behind_passwords, ways[when])

    pushed = await remote.push("team/iris", pieces)

    assert await remote.has_blob("team/iris", pushed.digest)


@pytest.mark.parametrize("who", ["nobody", "nobody by token", "somebody else", "else by token"])
async def test_others_are_denied_and_nothing_is_told(
    session: aiohttp.ClientSession, behind_passwords: str, who: str
) -> None:
    ways: dict[str, Access] = {
        "nobody": AnonymousAccess(),
        "nobody by token": TokenAccess(session),
        "somebody else": BasicAccess("ada", "wr0ng"),
        "else by token": TokenAccess(session, Credentials("ada", "wr0ng")),
    }
    access = ways[who]
    remote = at(session, behind_passwords, access)

    for _ in range(2):
        with pytest.raises(BuildFailedError) as denied:
            await remote.push("team/iris", pieces)
        assert denied.value.code == "registry-denied"
        for secret in ("wr0ng", base64.b64encode(b"ada:wr0ng").decode()):
            assert secret not in shown(denied.value) + repr(access) + repr(remote)


async def test_only_a_trusted_certificate_is_talked_to(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    other = Authority(tmp_path, "other")
    trusted = ssl.create_default_context(cafile=authority.file)
    stranger = ssl.create_default_context(cafile=other.file)
    signed = authority.sign("server")
    with registry_of("docker-registry", tmp_path / "registry", tls=signed) as url:
        remote = at(session, url, AnonymousAccess(), ssl=trusted)
        assert (await remote.push("team/iris", pieces)).size == 64 * 5000

        for context in ({}, {"ssl": stranger}):
            with pytest.raises(BuildFailedError) as failed:
                await at(session, url, AnonymousAccess(), **context).find("team/iris", "v1")
            assert failed.value.code == "registry-untrusted"


async def test_our_own_registry_knows_a_service_by_what_it_signs(
    session: aiohttp.ClientSession,
    tmp_path: Path,
    postgres_server: PostgresServer,
    nats_server: NatsServer,
) -> None:
    async with (
        postgres_server.database("registry") as database,
        registry_process(tmp_path, database_url=database, nats=nats_server) as registry,
    ):
        await registry.start()

        async def identity(scope: str) -> str:
            assert scope.startswith("repository:team/iris:")
            token = registry.signer.token(
                "user:1", audience="registry", org_id=ORG, org="default", person=PERSON
            )
            return f"Bearer {token}"

        remote = at(session, registry.url, CalledAccess(identity))
        pushed = await remote.push("team/iris", pieces)
        assert await remote.has_blob("team/iris", pushed.digest)
        with pytest.raises(BuildFailedError) as denied:
            await at(session, registry.url, AnonymousAccess()).find("team/iris", "v1")
        assert denied.value.code == "registry-denied"
