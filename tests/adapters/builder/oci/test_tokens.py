"""Tokens: asked for when a registry wants them, kept as long as they live, told to nobody else."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci import Credentials, TokenAccess
from tests.adapters.builder.oci.conftest import ADA, QUICK, SECRET, at, pieces, shown
from tests.support.authorities import Authority
from tests.support.oci_faults import BadRegistry, status
from tests.support.oci_registries import registry_of
from tests.support.token_service import TokenService, token_service


@pytest.fixture
async def tokens(tmp_path: Path) -> AsyncIterator[TokenService]:
    async with token_service(Authority(tmp_path).sign("tokens")) as service:
        service.users["ada"] = SECRET
        yield service


@pytest.fixture
async def behind_tokens(tokens: TokenService, tmp_path: Path) -> AsyncIterator[str]:
    with registry_of("docker-registry", tmp_path / "registry", auth=tokens.auth) as url:
        yield url


async def test_a_token_is_asked_for_once_for_each_scope(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    access = TokenAccess(session, ADA, plain_http=True)
    remote = at(session, behind_tokens, access)

    pushed = await remote.push("team/iris", pieces)
    await asyncio.gather(*(remote.has_blob("team/iris", pushed.digest) for _ in range(10)))
    assert await remote.mount("team/other", pushed.digest, source="team/iris")

    assert tokens.asked == [
        ("GET", "repository:team/iris:pull,push"),
        ("GET", "repository:team/iris:pull"),
        ("GET", "repository:team/other:pull,push repository:team/iris:pull"),
    ]
    assert SECRET not in repr(access)
    assert "eyJ" not in repr(vars(access))


async def test_many_who_begin_together_want_one_token(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    remote = at(session, behind_tokens, TokenAccess(session, ADA, plain_http=True))

    await asyncio.gather(*(remote.find("team/iris", f"v{n}") for n in range(10)))

    assert len(tokens.asked) == 1


async def test_a_token_that_is_no_good_any_more_is_replaced_once(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    """Also in the middle: its service says that it lives longer than the registry thinks."""
    tokens.life = -120  # the registry allows a minute of difference between clocks
    remote = at(session, behind_tokens, TokenAccess(session, ADA, plain_http=True))
    with pytest.raises(BuildFailedError, match="401"):
        await remote.find("team/iris", "v1")
    assert len(tokens.asked) == 1

    tokens.life = 300

    assert await remote.find("team/iris", "v1") is None
    assert len(tokens.asked) == 2
    assert (await remote.push("team/iris", pieces)).size == 64 * 5000


async def test_a_push_goes_on_when_its_token_dies_before_the_bytes(
    session: aiohttp.ClientSession, behind_tokens: str
) -> None:
    access = TokenAccess(session, ADA, plain_http=True)
    remote = at(session, behind_tokens, access)
    made = 0

    async def dying() -> AsyncIterator[bytes]:
        nonlocal made
        made += 1
        async for piece in pieces():
            yield piece

    class Dying:
        """Its second answer is a token that was good once."""

        asked = 0

        async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
            self.asked += challenge is None
            good = await access.authorization(challenge=challenge, scope=scope)
            return "Bearer a.b.c" if self.asked == 2 and challenge is None else good

    await remote.find("team/iris", "v1")
    pushed = await at(session, behind_tokens, Dying()).push("team/iris", dying)

    assert made == 2
    assert await remote.has_blob("team/iris", pushed.digest)


async def test_a_token_of_identity_is_exchanged(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    tokens.refresh.add("stands-for-ada")
    known = Credentials(identity_token="stands-for-ada")
    remote = at(session, behind_tokens, TokenAccess(session, known, plain_http=True))

    await remote.push("team/iris", pieces)

    assert {method for method, _ in tokens.asked} == {"POST"}


async def test_a_password_is_posted_where_the_service_wants_it_so(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    tokens.oauth_only = True
    remote = at(session, behind_tokens, TokenAccess(session, ADA, plain_http=True))

    assert (await remote.push("team/iris", pieces)).size == 64 * 5000


async def test_everybody_may_read_where_everybody_gets_a_token(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    tokens.anonymous = True
    known = at(session, behind_tokens, TokenAccess(session, ADA, plain_http=True))
    anybody = at(session, behind_tokens, TokenAccess(session, plain_http=True))
    pushed = await known.push("team/iris", pieces)

    assert await anybody.has_blob("team/iris", pushed.digest)
    with pytest.raises(BuildFailedError) as denied:
        await anybody.push("team/iris", pieces)
    assert denied.value.code == "registry-denied"


async def test_a_token_service_without_tls_is_told_nothing(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    remote = at(session, behind_tokens, TokenAccess(session, ADA))

    with pytest.raises(BuildFailedError, match="no TLS") as denied:
        await remote.find("team/iris", "v1")

    assert denied.value.code == "registry-denied"
    assert tokens.asked == []


async def test_what_a_token_service_repeats_is_not_shown(
    session: aiohttp.ClientSession, behind_tokens: str
) -> None:
    wrong = TokenAccess(session, Credentials("ada", "wr0ng"), plain_http=True)

    with pytest.raises(BuildFailedError, match="gives no token: 401") as denied:
        await at(session, behind_tokens, wrong).find("team/iris", "v1")

    assert base64.b64encode(b"ada:wr0ng").decode() not in shown(denied.value)


async def test_a_token_service_may_fail_twice(
    session: aiohttp.ClientSession, behind_tokens: str, tokens: TokenService
) -> None:
    tokens.faults = [500, 503]
    access = TokenAccess(session, ADA, plain_http=True, patience=QUICK)

    assert await at(session, behind_tokens, access).find("team/iris", "v1") is None

    tokens.faults = [500] * 4
    access = TokenAccess(session, ADA, plain_http=True, patience=QUICK)
    with pytest.raises(RegistryUnreachableError) as failed:
        await at(session, behind_tokens, access).find("team/iris", "v1")
    assert base64.b64encode(f"ada:{SECRET}".encode()).decode() not in shown(failed.value)


async def test_a_host_to_which_a_registry_leads_gets_no_credentials_by_asking(
    session: aiohttp.ClientSession, bad: BadRegistry, store: BadRegistry
) -> None:
    realm = f'Bearer realm="{store.url}/token",service="s"'
    bad.always = status(307, Location=f"{store.url}/bucket")
    store.always = status(401, WWW_Authenticate=realm)
    remote = at(session, bad.url, TokenAccess(session, ADA, plain_http=True))

    with pytest.raises(BuildFailedError) as denied:
        await remote.manifest("team/iris", "v1")

    assert denied.value.code == "registry-denied"
    assert [each.path for each in store.seen] == ["/bucket"]
