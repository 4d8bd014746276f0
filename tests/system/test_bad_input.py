"""Every mistake has its own message, and leaves the platform as it was."""

import io
import json
import socket
import tarfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.bentos import CRASHES_AT_IMPORT, Client, source
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(300)


def test_a_wrong_token_is_401_and_the_client_says_so(
    client: Client, platform: LocalPlatform, tmp_path: Path
) -> None:
    status, problem = platform.request(
        "GET", "/api/v1/current_org", token="wrong"
    )  # it is wrong on purpose
    assert status == 401
    assert problem["status"] == 401

    stranger = Client(client.python, tmp_path / "bentoml")
    said = stranger.fails("cloud", "login", "--endpoint", platform.url, "--api-token", "wrong")
    assert "401" in said


def test_an_unknown_bento_is_named(client: Client, platform: LocalPlatform) -> None:
    said = client.fails("deploy", "nobody:v1", "--name", "unknown", "--no-wait")
    assert "nobody" in said

    body = {"bento": "nobody:v1", "name": "unknown", "services": {}}
    status, problem = platform.request("POST", "/api/v2/deployments", body)
    assert status in {404, 422}
    assert "nobody:v1" in problem["detail"]


def test_a_bento_that_cannot_be_resolved_shows_uvs_own_words(
    client: Client, platform: LocalPlatform, tmp_path: Path
) -> None:
    code = (
        "import bentoml\n"
        "image = bentoml.images.Image(lock_python_packages=False)\n"
        "image = image.python_packages('attrs==0.0.0.1')\n"
        "@bentoml.service(name='unresolvable', image=image)\n"
        "class Unresolvable:\n"
        "    @bentoml.api\n"
        "    def say(self) -> str:\n"
        "        return ''\n"
    )
    tag = client.build(source(tmp_path / "unresolvable", code))
    client.run("push", tag)

    said = client.fails("deploy", tag, "--name", "unresolvable")

    assert "--- resolve" in said, "the log of the build, while its client waits"
    assert "attrs==0.0.0.1" in said
    assert "failed: requirements-unresolvable" in said
    assert 'Current status: "image-build-failed"' in " ".join(said.split())
    seen = wait_for_end(platform, "unresolvable")
    assert seen == "image-build-failed"
    [failed] = platform.events(type="image.failed")
    assert "attrs==0.0.0.1" in failed["data"]["reason"]
    assert "attrs==0.0.0.1" in platform.yokocho("deployments").stdout
    built = platform.yokocho("build", tag, check=False)
    assert (built.returncode, "--- plan" in built.stdout) == (1, True)
    assert "status    failed: " in built.stdout
    platform.request("DELETE", "/api/v2/deployments/unresolvable")


def test_a_service_that_crashes_at_import_fails_with_its_last_lines(
    client: Client, platform: LocalPlatform, tmp_path: Path
) -> None:
    folder = source(tmp_path / "crash", good_then_bad())
    tag = client.build(folder)
    client.run("push", tag)

    client.run("deploy", tag, "--name", "crashing", "--env", "CRASH=1", "--no-wait")

    assert wait_for_end(platform, "crashing") == "failed"
    reason = "the weights are not where they should be"
    [failed] = [
        event
        for event in platform.events(type="deployment.failed")
        if event["data"]["deployment"] == "crashing"
    ]
    assert reason in failed["data"]["reason"]
    assert reason in platform.yokocho("deployments").stdout
    status, problem = platform.predict("crashing", "say", {"text": "x"})
    assert (status, problem["type"].rpartition("/")[2]) == (503, "endpoint-failed")
    platform.request("DELETE", "/api/v2/deployments/crashing")


def good_then_bad() -> str:
    """A bento that builds (the build imports it) and crashes where ``CRASH`` is set."""
    guard = CRASHES_AT_IMPORT.replace("raise", "import os\nif os.environ.get('CRASH'):\n    raise")
    service = (
        "@bentoml.service(name='crashing')\n"
        "class Crashing:\n"
        "    @bentoml.api\n"
        "    def say(self, text: str) -> str:\n"
        "        return text\n"
    )
    return guard + service


def wait_for_end(platform: LocalPlatform, name: str, *, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    seen: Any = None
    while time.monotonic() < deadline:
        seen = platform.request("GET", f"/api/v2/deployments/{name}")[1]
        if seen["status"] not in {"deploying", "image-building", "unknown", "non-deployed"}:
            return str(seen["status"])
        time.sleep(0.1)
    raise AssertionError(f"{name} never ended: {seen}")


def test_a_name_that_is_taken_is_409(
    client: Client, echo: tuple[str, str], platform: LocalPlatform
) -> None:
    client.run("deploy", echo[0], "--name", "taken", "--no-wait")
    platform.wait_for_status("taken", "running")

    said = client.fails("deploy", echo[0], "--name", "taken", "--no-wait")

    assert "409" in said
    assert "taken" in said
    platform.request("DELETE", "/api/v2/deployments/taken")


def test_malformed_json_is_400(platform: LocalPlatform) -> None:
    status, answer = raw(platform, b"{not json", "application/json")

    assert status == 400
    assert "JSON" in answer["detail"]


def test_a_body_that_is_too_large_is_413(platform: LocalPlatform) -> None:
    body = json.dumps({"name": "big", "description": "x" * (20 * 2**20)}).encode()

    status, answer = raw(platform, body, "application/json")

    assert status == 413, answer


def raw(platform: LocalPlatform, body: bytes, kind: str) -> tuple[int, dict[str, str]]:
    """POST bytes to the repositories; reads the answer even where it comes early."""
    head = (
        f"POST /api/v1/bento_repositories HTTP/1.1\r\nHost: localhost\r\n"
        f"X-YATAI-API-TOKEN: {platform.token}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", platform.port), timeout=30) as connection:
        connection.sendall(head.encode())
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer may be there already
            connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    headers, _, text = answer.partition(b"\r\n\r\n")
    if b"chunked" in headers.lower():
        text = text.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return int(headers.split()[1]), json.loads(text)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        pytest.param("./readme", "bento.yaml", id="no-description"),
        pytest.param("../outside", "outside", id="escapes-the-root"),
    ],
)
def test_a_bad_archive_is_refused_with_its_reason_and_repaired_by_a_new_push(
    platform: LocalPlatform, *, member: str, why: str
) -> None:
    name, version = "badarchive", member.strip("./") + "1"
    manifest = {"service": "service:Echo", "bentoml_version": "1.4.39", "size_bytes": 1}
    platform.request("POST", "/api/v1/bento_repositories", {"name": name, "description": ""})
    base = f"/api/v1/bento_repositories/{name}/bentos"
    created = {"version": version, "manifest": manifest, "description": "", "labels": []}
    created["build_at"] = "2026-11-20 10:09:03.538404"
    assert platform.request("POST", base, created)[0] == 200
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(member)
        info.size = 2
        tar.addfile(info, io.BytesIO(b"hi"))

    status, problem = upload(platform, f"{base}/{version}/upload", packed.getvalue())

    assert 400 <= status < 500
    assert why in problem["detail"]
    failed = platform.request("GET", f"{base}/{version}")[1]
    assert failed["upload_status"] == "failed"
    assert why in failed["upload_finished_reason"]


def upload(platform: LocalPlatform, path: str, body: bytes) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(  # loopback
        f"{platform.url}{path}",
        method="PUT",
        data=body,
        headers={"X-YATAI-API-TOKEN": platform.token},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("canary", {"route_type": "random", "versions": {}}),
        ("secrets", ["s1"]),
        ("dev", True),
        ("extras", {"bento_function_overrides": {}}),
        ("instance_type", "gpu.1"),
        ("deployment_strategy", "RampedSlowRollout"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(
    pushed: str, platform: LocalPlatform, *, field: str, value: object
) -> None:
    body: dict[str, object] = {"bento": pushed, "name": "refused", "services": {}}
    if field in {"canary", "secrets", "dev"}:
        body[field] = value
    else:
        body["services"] = {"echo": {field: value}}

    status, problem = platform.request("POST", "/api/v2/deployments", body)

    assert 400 <= status < 500
    assert field in problem["detail"]
    assert platform.request("GET", "/api/v2/deployments/refused")[0] == 404


def test_without_binaries_of_postgres_the_cure_is_said(tmp_path: Path) -> None:
    nowhere = LocalPlatform(tmp_path / "home", env={"YOKOCHO_POSTGRES_BIN": str(tmp_path)})

    done = nowhere.yokocho("up", "--detach", "--port", str(nowhere.port), check=False)

    assert done.returncode == 1
    assert "no binaries of PostgreSQL" in done.stderr
    assert "YOKOCHO_POSTGRES_BIN names the folder to use" in done.stderr
    told = nowhere.yokocho("doctor", "--json", check=False)
    assert told.returncode == 1
    cures = {each["check"]: each["cure"] for each in json.loads(told.stdout)}
    assert "YOKOCHO_POSTGRES_BIN" in cures["postgres"]
    nowhere.down()
