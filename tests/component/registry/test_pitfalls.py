"""What BentoML's clients stumble over where a registry is not careful; they cannot be changed."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.chassis.auth import generate_keys
from libs.chassis.postgres import Pool
from libs.chassis.signedurls import UrlSigner
from services.registry.controller import verify_sent
from services.registry.domain import Kind
from services.registry.http import Urls
from tests.support.loops import running
from tests.support.registry import (
    BENTOS,
    Served,
    archive,
    archive_of,
    create,
    create_model,
    send,
    served,
)
from tests.support.transfers import choose, put

NEW: Final = "1.4.39"
TOP: Final = "/api/v1/{kind}_repositories"
_BASE: Final = ("uid", "created_at", "name", "resource_type")
_TEXTS: Final = (
    *("description", "version", "image_build_status", "upload_status", "upload_finished_reason"),
    *("presigned_upload_url", "presigned_download_url", "build_at", "upload_id"),
)
_STATUSES: Final = {"pending", "uploading", "success", "failed"}


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    """It signs URLs to itself, and verifies what was sent to them."""
    generate_keys(tmp_path / "keys", ["registry"])
    urls = Urls(UrlSigner("registry", tmp_path / "keys" / "registry.pem"), "http://gateway")
    async with (
        served(pool, tmp_path / "blobs", urls=urls) as it,
        running(partial(verify_sent, it.cases.verifying, it.sent)),
    ):
        yield it


@pytest.fixture
async def session(registry: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with client(registry, NEW) as opened:
        yield opened


def client(registry: Served, version: str | None) -> aiohttp.ClientSession:
    """Of that version; the oldest ones do not say which they are."""
    headers = {"X-Bentoml-Version": version} if version else {}
    return aiohttp.ClientSession(registry.url, headers=headers)


def wrong_in(seen: dict[str, Any]) -> Iterator[str]:
    """Where a client would crash, or read the word None."""
    for name in _BASE:
        if not isinstance(seen.get(name), str):
            yield name
    if not isinstance(seen.get("labels"), list):
        yield "labels"
    if not {"updated_at", "deleted_at"} <= seen.keys():
        yield "updated_at, deleted_at"
    kind, _, of = seen["resource_type"].partition("_")
    yield from _wrong_in_repository(seen, kind) if of else _wrong_in_version(seen, kind)


def _wrong_in_repository(seen: dict[str, Any], kind: str) -> Iterator[str]:
    if seen["resource_type"] not in {"bento_repository", "model_repository"}:
        yield "resource_type"
    if not isinstance(seen.get("description"), str):
        yield "description"
    latest = seen.get(f"latest_{kind}", "absent")
    if latest is not None:
        yield from wrong_in(latest)


def _wrong_in_version(seen: dict[str, Any], kind: str) -> Iterator[str]:
    yield from (name for name in _TEXTS if not isinstance(seen.get(name), str))
    if kind not in {*Kind}:
        yield "resource_type"
    if seen["name"] != seen["version"]:
        yield "name"
    if not {seen["upload_status"], seen["image_build_status"]} <= _STATUSES:
        yield "status"
    if seen["transmission_strategy"] not in {None, "proxy", "presigned_url"}:
        yield "transmission_strategy"
    if not isinstance(seen["manifest"], dict):
        yield "manifest"
    if "repository" in seen:
        yield from wrong_in(seen["repository"])


async def ask(session: aiohttp.ClientSession, method: str, path: str, body: object = None) -> Any:
    """As a client does, for which anything but 200 is a failure."""
    status, seen = await send(session, method, path, body)
    assert status == 200, (method, path, status, seen)
    for each in seen.get("items", [seen]):
        assert list(wrong_in(each)) == [], (method, path, each)
    return seen


def described(kind: str) -> dict[str, Any]:
    """What clients send to make a version."""
    manifest: dict[str, Any] = {"bentoml_version": NEW, "size_bytes": 9}
    if kind == "model":
        manifest |= {"module": "m", "api_version": "v1", "metadata": {}, "context": {}}
    else:
        manifest |= {"service": "s:S", "name": "iris", "models": [], "services": []}
    at = "2026-11-20 10:09:03.538404"
    return {"description": "", "version": "v1", "manifest": manifest, "build_at": at, "labels": []}


async def _sent(session: aiohttp.ClientSession, one: str, seen: dict[str, Any]) -> None:
    """The bytes of ``one`` as its client was told to send them."""
    content = archive_of(f"{one}/upload")
    if seen["transmission_strategy"] == "proxy":
        await ask(session, "PATCH", f"{one}/start_upload")
        await ask(session, "PUT", f"{one}/upload", content)
        return
    if seen["transmission_strategy"] is None:
        seen = await ask(session, "PATCH", f"{one}/presign_upload_url")
        await ask(session, "PATCH", f"{one}/start_upload")
        assert (await put(session, seen["presigned_upload_url"], content))[0] == 200
    else:
        await ask(session, "PATCH", f"{one}/start_upload")
        begun = await ask(session, "PATCH", f"{one}/start_multipart_upload")
        asked = {"upload_id": begun["upload_id"], "part_number": 1}
        seen = await ask(session, "PATCH", f"{one}/presign_multipart_upload_url", asked)
        status, etag = await put(session, seen["presigned_upload_url"], content)
        assert status == 200
        parts = [{"part_number": 1, "etag": etag}]
        done = {"upload_id": begun["upload_id"], "parts": parts}
        await ask(session, "PATCH", f"{one}/complete_multipart_upload", done)
    await ask(session, "PATCH", f"{one}/finish_upload", {"status": "success", "reason": ""})


@pytest.mark.parametrize("strategy", ["proxy", "presigned", "multipart"])
@pytest.mark.parametrize("kind", [*Kind])
async def test_each_step_is_200_and_has_every_field_in_a_form_that_clients_read(
    session: aiohttp.ClientSession, kind: str, strategy: str
) -> None:
    """A null where a text is read becomes the text "None"; null lists and unknown words crash.

    No redirect is followed, and 201 and 204 are failures.
    """
    await choose(session, strategy)
    top = TOP.format(kind=kind)
    many = f"{top}/iris/{kind}s"
    assert (await send(session, "GET", f"{top}/iris"))[0] == 404
    await ask(session, "POST", top, {"name": "iris", "description": ""})
    assert (await send(session, "GET", f"{many}/v1"))[0] == 404
    made = await ask(session, "POST", many, described(kind))
    assert made["manifest"] == described(kind)["manifest"]
    assert made["build_at"] == "2026-11-20T10:09:03.538404Z", "clients say UTC without saying so"

    await _sent(session, f"{many}/v1", made)

    seen = await ask(session, "GET", f"{many}/v1")
    assert (seen["upload_status"], seen["repository"]["name"]) == ("success", "iris")
    begun, ended = (
        datetime.fromisoformat(seen[name]) for name in ("upload_started_at", "upload_finished_at")
    )
    assert timedelta() <= ended - begun < timedelta(minutes=1)
    again = described(kind) | {"description": "now", "labels": None}
    await ask(session, "PATCH", f"{many}/v1", again)
    await ask(session, "PATCH", f"{many}/v1/presign_download_url")
    for path in (top, f"{many}?count=&q=&search=&start=", f"{many}?count=1", f"/api/v1/{kind}s"):
        assert (await ask(session, "GET", path))["total"] == 1
    assert (await ask(session, "GET", f"{top}/iris"))[f"latest_{kind}"]["version"] == "v1"


async def test_two_that_make_one_repository_at_once_both_have_it(
    session: aiohttp.ClientSession,
) -> None:
    """Clients look, find nothing, and create: a 409 would fail the slower one's push."""
    made = await asyncio.gather(
        *(ask(session, "POST", TOP.format(kind="model"), {"name": "w"}) for _ in range(10))
    )
    assert len({each["uid"] for each in made}) == 1


async def test_a_bento_without_uploads_is_404_to_who_takes_the_first_of_a_list(
    session: aiohttp.ClientSession,
) -> None:
    """``bentoml deploy NAME`` takes the first of one, unseen: of an empty list it crashes."""
    await ask(session, "POST", TOP.format(kind="bento"), {"name": "iris"})
    status, problem = await send(session, "GET", f"{BENTOS}?count=1")
    assert (status, problem["type"]) == (404, "/problems/version-not-found")
    assert (await send(session, "GET", f"{BENTOS}/latest"))[0] == 404
    models = f"{TOP.format(kind='model')}/iris/models?start=0&count=10"
    assert (await ask(session, "GET", models))["items"] == [], "here 404 is the crash"


@pytest.mark.parametrize("kind", [*Kind])
async def test_clients_are_shown_nothing_that_cannot_be_pulled(
    session: aiohttp.ClientSession, registry: Served, kind: str
) -> None:
    """They pull and deploy the newest of a list and never look at its status."""
    for version in ("v1", "v2"):
        await (create if kind == "bento" else create_model)(session, version)
    many = f"{TOP.format(kind=kind)}/iris/{kind}s"
    await ask(session, "PUT", f"{many}/v1/upload", archive_of(f"{many}/v1/upload"))
    await send(session, "PUT", f"{many}/v2/upload", b"no archive")

    for path in (f"{many}?count=1", f"{many}?start=0&count=10", f"/api/v1/{kind}s"):
        seen = await ask(session, "GET", path)
        assert [each["version"] for each in seen["items"]] == ["v1"]
        assert seen["total"] == 1
    assert (await ask(session, "GET", f"{many}/latest"))["version"] == "v1"
    assert (await ask(session, "GET", f"{many}/v2"))["upload_status"] == "failed"
    async with client(registry, None) as dashboard:
        assert (await ask(dashboard, "GET", many))["total"] == 2


@pytest.mark.parametrize(("version", "missing"), [("1.0.22", 400), ("1.0.23", 404), (NEW, 404)])
async def test_what_is_not_there_is_said_as_the_client_understands_it(
    registry: Served, version: str, missing: int
) -> None:
    """Up to 1.0.22 a 404 fails the push of anything new: they look for Yatai's words in a 400."""
    top = TOP.format(kind="model")
    async with client(registry, version) as session:
        for path in (f"{top}/iris", f"{top}/iris/models/v1", f"{BENTOS}/v1"):
            status, problem = await send(session, "GET", path)
            assert (status, problem["status"]) == (missing, missing)
            assert ("record not found" in problem["error"]) == (missing == 400)
            assert "there is no" in problem["error"] == problem["detail"]


async def test_dependencies_of_older_clients_are_objects(session: aiohttp.ClientSession) -> None:
    """1.2 sends names; where such a name has "service" in it, 1.4 crashes on it."""
    services = [{"name": "S", "dependencies": ["my_service"], "config": {}, "new": [1]}]
    await create(session, "v1", services=services)
    await ask(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))
    for path in (f"{BENTOS}/v1", BENTOS, "/api/v1/bentos"):
        seen = await ask(session, "GET", path)
        [shown] = seen.get("items", [seen])
        assert shown["manifest"]["services"] == [
            {**services[0], "service": "", "dependencies": [{"service": "my_service"}]}
        ]


@pytest.mark.parametrize("text", ["# Iris\n" * 400_000, "\N{SLOTH}" * 750_000])
async def test_a_readme_of_three_megabytes_is_a_description(
    session: aiohttp.ClientSession, text: str
) -> None:
    """Clients put it into the request as it is, up to that size, each character escaped."""
    await ask(session, "POST", TOP.format(kind="bento"), {"name": "iris"})
    made = await ask(session, "POST", BENTOS, described("bento") | {"description": text})
    assert made["description"] == text


async def test_numbers_that_json_does_not_have_are_kept(session: aiohttp.ClientSession) -> None:
    """Older clients write a loss that is no number as NaN: an error would fail the push."""
    await ask(session, "POST", TOP.format(kind="model"), {"name": "iris"})
    body = described("model")
    body["manifest"]["metadata"] = {"loss": float("nan"), "best": float("-inf"), "n": 2**70}
    many = f"{TOP.format(kind='model')}/iris/models"
    await ask(session, "POST", many, json.dumps(body).encode())
    seen = await ask(session, "GET", f"{many}/v1")
    assert str(seen["manifest"]["metadata"]) == str(body["manifest"]["metadata"])
