"""The main job with the unmodified client: login, push, pull, list, deploy, update, end."""

import hashlib
import json
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(400)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def bento_folder(client: Client, tag: str) -> Path:
    return client.home / "bentos" / tag.replace(":", "/")


def test_a_pushed_bento_comes_back_byte_for_byte(
    client: Client, echo: tuple[str, str], empty_home: Client
) -> None:
    client.run("push", echo[0])

    empty_home.run("pull", echo[0])

    assert digests(bento_folder(empty_home, echo[0])) == digests(bento_folder(client, echo[0]))


def test_a_second_push_is_skipped(client: Client, echo: tuple[str, str]) -> None:
    client.run("push", echo[0])

    assert "skip" in client.run("push", echo[0]).lower()


def test_a_model_comes_back_byte_for_byte(
    client: Client, empty_home: Client, platform: LocalPlatform
) -> None:
    tag = client.script(
        "import bentoml, pathlib\n"
        "with bentoml.models.create('weights') as model:\n"
        "    pathlib.Path(model.path_of('w.bin')).write_bytes(bytes(range(256)) * 40000)\n"
        "print(model.tag)"
    ).split()[-1]
    client.run("models", "push", tag)

    empty_home.run("models", "pull", tag)

    folder = Path("models") / tag.replace(":", "/")
    assert digests(empty_home.home / folder) == digests(client.home / folder)
    pushed = [each["data"] for each in platform.events(type="model.pushed")]
    assert tag in {f"{each['repository']}:{each['version']}" for each in pushed}


def test_what_was_pushed_is_found_by_what_it_says(platform: LocalPlatform, pushed: str) -> None:
    name, _, version = pushed.partition(":")
    asked = quote(f'name = {name} and version = "{version}"')

    status, found = platform.request("GET", f"/api/registry/bentos?query={asked}")

    assert status == 200, found
    assert [each["version"] for each in found["items"]] == [version]
    assert found["items"][0]["size_bytes"] > 0


def test_a_deployment_pins_what_an_alias_means(
    platform: LocalPlatform, client: Client, echo: tuple[str, str]
) -> None:
    for tag in echo:
        client.run("push", tag)
    first, second = (tag.partition(":")[2] for tag in echo)
    at = "/api/registry/bentos/echo/aliases/stable"
    assert platform.request("PUT", at, {"version": first, "expected": None})[0] == 200

    body = {"bento": "echo@stable", "name": "by-alias", "services": {}}
    status, made = platform.request("POST", "/api/v2/deployments?cluster=", body)
    assert status == 200, made
    assert platform.request("PUT", at, {"version": second, "expected": first})[0] == 200

    platform.wait_for_status("by-alias", "running")
    assert platform.predict("by-alias", "say", {"text": "hello"}) == (200, "v1: hello")
    platform.request("POST", "/api/v2/deployments/by-alias/terminate?cluster=")
    platform.request("DELETE", "/api/v2/deployments/by-alias?cluster=")


def test_the_sdk_lists_what_was_pushed(client: Client, echo: tuple[str, str]) -> None:
    client.run("push", echo[0])
    client.run("push", echo[1])

    listed = client.script(
        "import json, bentoml\n"
        "from bentoml.cloud import BentoCloudClient\n"
        "found = BentoCloudClient().bento.list().items\n"
        "print('LISTED', json.dumps([f'{b.repository.name}:{b.version}' for b in found]))"
    )

    tags = json.loads(listed.rpartition("LISTED")[2])
    assert set(echo) <= set(tags)
    assert tags.index(echo[1]) < tags.index(echo[0]), "newest first"


def test_a_deployment_from_create_to_delete(
    client: Client, echo: tuple[str, str], platform: LocalPlatform
) -> None:
    said = client.run("deploy", echo[0], "--name", "lifecycle")
    assert "lifecycle" in said
    assert platform.predict("lifecycle", "say", {"text": "hello"}) == (200, "v1: hello")

    listed = client.run("deployment", "list", "-o", "json")
    assert "lifecycle" in listed
    assert "running" in client.run("deployment", "get", "lifecycle", "-o", "json")

    client.run("deployment", "terminate", "lifecycle", "--wait")
    status, problem = platform.predict("lifecycle", "say", {"text": "hello"})
    assert (status, problem["type"].rpartition("/")[2]) == (404, "endpoint-terminated")

    client.run("deployment", "delete", "lifecycle")
    assert "not found" in client.fails("deployment", "get", "lifecycle")


def test_updating_under_load_fails_no_request(
    client: Client, echo: tuple[str, str], platform: LocalPlatform
) -> None:
    client.run("deploy", echo[0], "--name", "rolling", "--no-wait")
    client.run("push", echo[1])
    platform.wait_for_status("rolling", "running")
    answers: list[tuple[int, object]] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answers.append(platform.predict("rolling", "say", {"text": "x", "wait": 0.05}))

    workers = [threading.Thread(target=load) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        client.run("deployment", "update", "rolling", "--bento", echo[1])
        deadline = time.monotonic() + 60
        while answers[-1] != (200, "v2: x") and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(3)  # the old revision is drained and stopped meanwhile
    finally:
        stop.set()
        for worker in workers:
            worker.join()

    failed = [answer for answer in answers if answer[0] != 200]
    assert failed == []
    assert answers[-1] == (200, "v2: x")
    assert len(answers) > 100
    client.run("deployment", "delete", "rolling")


def test_a_client_of_1_3_pushes_and_deploys(platform: LocalPlatform, tmp_path: Path) -> None:
    old = Client(client_python("1.3"), tmp_path / "bentoml")
    old.login(platform.url, platform.token)
    code = ECHO.replace('name="echo"', 'name="elder"')
    described = "service: 'service:Echo'"  # 1.3 does not look for a service by itself
    tag = old.build(source(tmp_path / "old", code, version="v1.3", bentofile=described))

    old.run("push", tag)
    old.run("deploy", tag, "--name", "elder", "--no-wait")

    platform.wait_for_status("elder", "running", seconds=180)
    assert platform.predict("elder", "say", {"text": "hello"}) == (200, "v1.3: hello")
    old.run("deployment", "delete", "elder")


def test_every_event_is_in_the_log_once_and_the_chain_is_whole(
    client: Client, echo: tuple[str, str], platform: LocalPlatform
) -> None:
    client.run("push", echo[0])

    events = platform.events()

    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    assert platform.request("GET", "/api/events/verify")[1]["intact"] is True
