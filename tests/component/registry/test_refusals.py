"""What is refused, and that it is refused rather than crashed upon; what is stored elsewhere."""

import io
import tarfile
from typing import Any

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.registry import BENTOS, Served, archive, create, create_model, send

HUB = "org--tiny:0a1b2c3d4e5f60718293a4b5c6d7e8f9"
HUB_METADATA = {
    "model_id": "org/tiny",
    "revision": "5f0b02c75b57c5855da9ae460ce51323ea669d8a",
    "endpoint": "https://hub.example",
    "include": None,
    "exclude": None,
}
_TOP = "/api/v1/bento_repositories"


def with_link(name: str, target: str) -> bytes:
    out = io.BytesIO(archive("v1"))
    with tarfile.open(fileobj=out, mode="a", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        pytest.param(with_link("l", "/etc/passwd"), "outside", id="absolute-link"),
        pytest.param(with_link("l", "../up"), "outside", id="link-up"),
        pytest.param(with_link("/l", "a"), "outside", id="absolute-name"),
        pytest.param(archive("v1", name="a/bento.yaml"), "no bento.yaml", id="not-at-its-root"),
        pytest.param(b"\x1f\x8b" + b"\0" * 2000, "before 1.0.22", id="compressed"),
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(archive("v1", repository='"a\\0b"'), "a", id="nul-in-its-name"),
        pytest.param(archive("v1", repository="[["), "no YAML", id="no-yaml"),
    ],
)
async def test_no_bytes_of_a_refused_archive_stay(
    session: aiohttp.ClientSession, registry: Served, pool: Pool, sent: bytes, why: str
) -> None:
    await create(session, "v1")

    status, problem = await send(session, "PUT", f"{BENTOS}/v1/upload", sent)

    assert (status, problem["type"]) == (422, "/problems/archive-refused")
    assert why in problem["detail"]
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    assert seen["upload_status"] == "failed"
    assert registry.staged == []
    assert await pool.fetchval("SELECT count(*) FROM blob") == 0


async def test_a_push_again_repairs_what_failed(session: aiohttp.ClientSession) -> None:
    """The whole way of the client: it updates the record, announces, sends."""
    await create(session, "v1")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1")[:1000])
    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[0] == 409

    revised = {"description": "now", "manifest": {"service": "s:T"}, "labels": []}
    await send(session, "PATCH", f"{BENTOS}/v1", revised)
    await send(session, "PATCH", f"{BENTOS}/v1/start_upload", b"")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))

    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    assert (seen["upload_status"], seen["upload_finished_reason"]) == ("success", "")
    assert (seen["description"], seen["manifest"]["service"]) == ("now", "s:T")
    assert await send(session, "GET", f"{BENTOS}/v1/download") == (200, archive("v1"))


async def test_a_model_on_a_hub_is_complete_at_once_and_has_no_bytes_here(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    path = await create_model(
        session, "m1", size_bytes=10**15, metadata={**HUB_METADATA, "registry": "huggingface"}
    )

    _, seen = await send(session, "PATCH", f"{path}/presign_download_url", b"")
    status, problem = await send(session, "GET", f"{path}/download")

    assert (seen["upload_status"], seen["manifest"]["metadata"]["registry"]) == (
        "success",
        "huggingface",
    )
    assert status == 409
    assert "on a hub" in problem["detail"]
    assert await pool.fetchval("SELECT count(*) FROM usage") == 0


async def test_a_bento_resolves_without_its_models_on_a_hub(
    session: aiohttp.ClientSession,
) -> None:
    hub = {"tag": HUB, "module": "", "registry": "huggingface", "metadata": HUB_METADATA}
    stored = {"tag": "iris:m1", "registry": "bentoml", "metadata": None}
    await create(
        session,
        "v1",
        models=[HUB, "iris:m1"],
        services=[{"name": "S", "models": [hub, stored], "dependencies": []}],
    )
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))
    path = await create_model(session, "m1", size_bytes=1)
    await send(session, "PUT", f"{path}/upload", archive("m1", name="model.yaml"))

    session.headers["X-Test-Issuer"] = "deployer"
    status, resolved = await send(session, "GET", "/internal/bentos/iris/v1")

    assert status == 200
    assert [(each["repository"], each["version"]) for each in resolved["models"]] == [
        ("iris", "m1")
    ]


async def test_pages_are_newest_first_and_know_how_many_there_are(
    session: aiohttp.ClientSession,
) -> None:
    for number in range(5):
        await create(session, f"v{number}")

    pages = [
        await send(session, "GET", f"{BENTOS}?start={start}&count=2") for start in (0, 2, 4, 6)
    ]
    none = await send(session, "GET", f"{BENTOS}?count=0")

    listed = [[each["version"] for each in page["items"]] for _, page in pages]
    assert listed == [["v4", "v3"], ["v2", "v1"], ["v0"], []]
    assert [page["total"] for _, page in [*pages, none]] == [5] * 5


async def test_labels_are_replaced_only_by_an_update_that_has_some(
    session: aiohttp.ClientSession,
) -> None:
    await create(session, "v1")

    async def found(label: str) -> int:
        _, listed = await send(session, "GET", f"/api/v1/bentos?q=label:{label}")
        return int(listed["total"])

    await send(session, "PATCH", f"{BENTOS}/v1", {"manifest": {}, "labels": None})
    assert await found("team%3Dv1") == 1
    labels = [{"key": "team", "value": "x y"}, {"key": "stage", "value": "prod"}]
    await send(session, "PATCH", f"{BENTOS}/v1", {"manifest": {}, "labels": labels})
    assert (await found("team%3Dv1"), await found("stage%3Dprod")) == (0, 1)
    assert await found("stage%3Dprod+label:team%3Dx") == 0
    await send(session, "PATCH", f"{BENTOS}/v1", {"manifest": {}, "labels": []})
    assert await found("stage%3Dprod") == 0


async def test_words_mean_themselves(session: aiohttp.ClientSession) -> None:
    """In the database's own patterns some characters would mean others."""
    for version in ("a_1", "ab1"):
        await create(session, version)

    async def found(query: str) -> list[str]:
        _, listed = await send(session, "GET", f"{BENTOS}?{query}")
        return [each["version"] for each in listed["items"]]

    assert await found("q=a_1") == ["a_1"]
    assert await found("q=%25") == []
    assert await found("q=iris+1") == ["ab1", "a_1"]
    assert await found("search=iris:ab") == ["ab1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{BENTOS}?q=a%00", None, 422),
        ("GET", f"{BENTOS}?search=%00", None, 422),
        ("GET", f"{BENTOS}?q=%ff", None, 200),
        ("GET", f"{BENTOS}?start=-1", None, 422),
        ("GET", f"{BENTOS}?count=999999999999", None, 422),
        ("GET", f"{BENTOS}?count=\u0663", None, 422),
        ("GET", f"{_TOP}/a%00b", None, 404),
        ("GET", f"{BENTOS}/v%001", None, 404),
        ("POST", _TOP, {"name": "a", "description": "\0"}, 422),
        ("POST", _TOP, b'{"name": "a", "description": "\\ud800"}', 400),
        ("PATCH", f"{BENTOS}/v1", {"manifest": {}, "description": "\0"}, 422),
        ("PATCH", f"{BENTOS}/v1", {"manifest": {}, "labels": [{"key": "\0", "value": ""}]}, 422),
        ("PATCH", f"{BENTOS}/v1", {"manifest": {"a": "\0"}}, 200),
        ("PATCH", f"{BENTOS}/v1", {"manifest": {"services": "S", "models": 1}}, 200),
        ("PATCH", f"{BENTOS}/v1/finish_upload", {"status": "failed", "reason": "a\0"}, 200),
    ],
)
async def test_nothing_that_is_asked_crashes_the_registry_or_its_lists(
    session: aiohttp.ClientSession, method: str, path: str, body: Any, status: int
) -> None:
    await create(session, "v1")

    assert (await send(session, method, path, body))[0] == status

    assert (await send(session, "GET", BENTOS))[0] == 200


async def test_a_size_beyond_every_disk_is_refused_unread(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")
    path = await create_model(session, "m1", size_bytes=10**30)

    async with session.put(
        f"{BENTOS}/v1/upload",
        data=b"",
        headers={"Content-Length": str(10**18), "Expect": "100-continue"},
    ) as answer:
        assert answer.status == 507

    assert (await send(session, "PATCH", f"{path}/start_upload", b""))[0] == 507
