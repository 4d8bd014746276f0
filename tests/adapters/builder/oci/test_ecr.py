"""Amazon's way to a password, against a server that speaks as theirs do."""

import asyncio
import base64
import json
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.access.ecr import EcrAccess, region_of

SCOPE = "repository:team/iris:pull"
ROLE = "arn:aws:iam::123456789012:role/puller"
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>
<SecretAccessKey>of-the-role</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""


@dataclass
class Amazon:
    """Each password is good for ``life``."""

    url: str = ""
    life: timedelta = timedelta(hours=12)
    refusal: tuple[int, str] | None = None
    asked: list[str] = field(default_factory=list)
    """Which key each question was signed with."""

    async def answer(self, request: web.Request) -> web.Response:
        signed = request.headers["Authorization"]
        self.asked.append(signed.partition("Credential=")[2].partition("/")[0])
        target = request.headers.get("X-Amz-Target")
        if self.refusal is not None:
            status, code = self.refusal
            body = json.dumps({"__type": code, "message": signed})
            return web.Response(status=status, text=body, content_type="application/x-amz-json-1.1")
        if target is None:
            form = await request.post()
            assert (form["Action"], form["RoleArn"]) == ("AssumeRole", ROLE)
            return web.Response(text=ASSUMED, content_type="text/xml")
        assert target.endswith(".GetAuthorizationToken")
        password = f"password-{len(self.asked)}"
        said = {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": (datetime.now(UTC) + self.life).timestamp(),
            "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        }
        body = json.dumps({"authorizationData": [said]})
        return web.Response(text=body, content_type="application/x-amz-json-1.1")


@pytest.fixture
async def amazon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Amazon]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own-secret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    amazon = Amazon()
    app = web.Application()
    app.router.add_post("/", amazon.answer)
    server = TestServer(app)
    await server.start_server()
    amazon.url = str(server.make_url("/"))
    yield amazon
    await server.close()


def password_in(value: str | None) -> str:
    assert value is not None
    return base64.b64decode(value.removeprefix("Basic ")).decode()


async def test_a_password_is_asked_for_once(amazon: Amazon) -> None:
    access = EcrAccess("eu-west-1", endpoint_url=amazon.url)

    said = await asyncio.gather(
        *(access.authorization(challenge=None, scope=SCOPE) for _ in range(5))
    )

    assert {password_in(each) for each in said} == {"AWS:password-1"}
    assert amazon.asked == ["AKIAOWN"]
    assert "password" not in repr(access) + repr(vars(access))


async def test_one_that_is_over_or_refused_is_replaced(amazon: Amazon) -> None:
    amazon.life = timedelta(minutes=5)
    access = EcrAccess("eu-west-1", endpoint_url=amazon.url)
    await access.authorization(challenge=None, scope=SCOPE)
    amazon.life = timedelta(hours=12)

    again = await access.authorization(challenge=None, scope=SCOPE)
    refused = await access.authorization(challenge="Basic", scope=SCOPE)

    assert [password_in(again), password_in(refused)] == ["AWS:password-2", "AWS:password-3"]


async def test_a_role_is_assumed_first(amazon: Amazon) -> None:
    access = EcrAccess("eu-west-1", role=ROLE, endpoint_url=amazon.url)

    said = await access.authorization(challenge=None, scope=SCOPE)

    assert password_in(said) == "AWS:password-2"
    assert amazon.asked == ["AKIAOWN", "ASIAROLE"]


async def test_who_may_not_is_denied(amazon: Amazon) -> None:
    amazon.refusal = (400, "AccessDeniedException")
    access = EcrAccess("eu-west-1", endpoint_url=amazon.url)

    with pytest.raises(BuildFailedError, match="AccessDeniedException") as denied:
        await access.authorization(challenge=None, scope=SCOPE)

    assert denied.value.code == "registry-denied"
    assert "AKIAOWN" not in "".join(traceback.format_exception(denied.value))


@pytest.mark.parametrize("refusal", [(400, "ThrottlingException"), (500, "ServerException")])
async def test_a_crash_passes(amazon: Amazon, refusal: tuple[int, str]) -> None:
    amazon.refusal = refusal
    access = EcrAccess("eu-west-1", endpoint_url=amazon.url)

    with pytest.raises(RegistryUnreachableError):
        await access.authorization(challenge=None, scope=SCOPE)
    amazon.refusal = None

    assert await access.authorization(challenge=None, scope=SCOPE)


async def test_nobody_who_answers_passes(amazon: Amazon) -> None:
    access = EcrAccess("eu-west-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(RegistryUnreachableError):
        await access.authorization(challenge=None, scope=SCOPE)
    assert amazon.asked == []


@pytest.mark.parametrize(
    ("registry", "region"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com", None),
        ("ghcr.io", None),
    ],
)
def test_registries_of_amazon_say_where_they_are(registry: str, region: str | None) -> None:
    assert region_of(registry) == region
