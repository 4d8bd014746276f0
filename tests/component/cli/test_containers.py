"""The platform in containers: what the compose file says is what the services are told."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.backup.databases import Server, temporary_server
from cli.containers import HOSTS, PORTS, STORE, variables_of
from cli.embedded import nats, postgres
from cli.home import SERVICES, Home, change, create
from cli.ports import assign, free_pair
from tests.support import binaries, s3
from tests.support.registry import BENTOS, archive
from tests.support.sources import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def port_of(service: str) -> int:
    return PORTS.get(service, PORTS["gateway_internal"])


def test_every_service_is_there_and_is_told_by_the_same_home() -> None:
    services = COMPOSE["services"]
    assert set(services) == {*SERVICES, "init", "postgres", "nats", "s3"}
    folder = "/var/lib/yokocho"
    for name in (*SERVICES, "init", "nats"):
        assert f"home:{folder}" in services[name]["volumes"], name
    for name in SERVICES:
        assert services[name]["command"] == ["serve", name]
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"
    assert f"YOKOCHO_HOME={folder}" in DOCKERFILE
    assert services["nats"]["command"] == ["--config", f"{folder}/nats.conf"]


def test_the_store_is_the_one_that_the_registry_is_told_of() -> None:
    store = COMPOSE["services"]["s3"]
    assert STORE.endpoint == "http://s3:8333"
    assert {"-s3.port=8333", "-ip=s3", f"-bucket={STORE.bucket}"} <= set(store["command"])
    assert "-s3.config=/var/lib/yokocho/s3.json" in store["command"]
    assert "-master.telemetry=false" in store["command"], "nothing phones home"
    assert "home:/var/lib/yokocho:ro" in store["volumes"]
    assert COMPOSE["services"]["registry"]["depends_on"]["s3"] == {"condition": "service_started"}


def test_health_is_asked_where_each_service_listens() -> None:
    for name in SERVICES:
        told = " ".join(COMPOSE["services"][name]["healthcheck"]["test"])
        assert f"127.0.0.1:{port_of(name)}/readyz" in told, name


def test_models_gateway_builder_and_deployer_share_a_loopback_and_the_rest_is_named() -> None:
    shared = {
        name
        for name in SERVICES
        if COMPOSE["services"][name].get("network_mode") == "service:gateway"
    }
    assert shared == {"builder", "deployer"}
    assert set(HOSTS) == {"postgres", "nats", *SERVICES} - shared - {"gateway"}
    assert all(HOSTS[name] == name for name in HOSTS), "compose knows containers by their names"


def test_only_the_two_public_ports_are_published_and_only_to_this_machine() -> None:
    published = {
        name: each["ports"] for name, each in COMPOSE["services"].items() if "ports" in each
    }
    assert published == {"gateway": ["127.0.0.1:7777:7777", "127.0.0.1:7778:7778"]}


def test_the_image_has_what_is_imported_and_runs_without_rights() -> None:
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    assert copied == {"libs", "services", "cli"}
    assert DOCKERFILE.rstrip().splitlines()[-2] == "USER yokocho"
    assert "--require-hashes" in DOCKERFILE


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A PostgreSQL that belongs to somebody else."""
    home = Home(tmp_path / "foreign")
    create(home)
    binaries = postgres.find_binaries()
    password = home.secrets()["postgres"][postgres.SUPERUSER]
    postgres.initialise(binaries, home.postgres, password=password)
    async with temporary_server(home, binaries) as server:
        yield server


async def test_services_that_are_started_one_by_one_are_a_platform(
    server: Server, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    names = [name for name in PORTS if name != "postgres"]
    ports = {**assign(names, {}, seed=str(tmp_path)), "postgres": server.port}
    create(home)
    change(home, port=free_pair())
    s3_port = binaries.free_port_below_its_twin()
    prepare_beside(home, server.dsn, ports, s3_port)
    told = {each: variables_of(home, each).read_text() for each in SERVICES}
    prepare_beside(home, server.dsn, ports, s3_port)
    assert told == {each: variables_of(home, each).read_text() for each in SERVICES}

    with ExitStack() as stack:
        stack.enter_context(s3.started(tmp_path, s3_port, home.root / "s3.json", STORE.bucket))
        binary = [str(nats.find_binary()), "--config", str(home.root / "nats.conf")]
        stack.enter_context(started(binary, tmp_path / "nats.log"))
        for service in SERVICES:
            words = [sys.executable, "-m", "cli", "serve", service, "--home", str(home.root)]
            stack.enter_context(started(words, tmp_path / f"{service}.log"))
        url = f"http://127.0.0.1:{home.identity().port}"
        org = until_answered(f"{url}/api/v1/current_org", {"X-YATAI-API-TOKEN": home.token()})
        assert org["name"] == "default"
        for service in SERVICES:
            port = ports.get(service, ports["gateway_internal"])
            until_answered(f"http://127.0.0.1:{port}/readyz")
        push_and_pull(url, home.token())


def push_and_pull(url: str, token: str) -> None:
    """Bytes go to the bucket and come from it."""
    headers = {"X-YATAI-API-TOKEN": token, "Content-Type": "application/json"}

    def send(method: str, path: str, body: bytes) -> bytes:
        request = urllib.request.Request(url + path, body or None, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    content = archive("v1", payload=b"7" * 5_000_000)
    send("POST", "/api/v1/bento_repositories", json.dumps({"name": "iris"}).encode())
    made = {"version": "v1", "manifest": {}, "build_at": "2026-11-20 10:09:03.538404"}
    send("POST", BENTOS, json.dumps(made).encode())
    headers["Content-Type"] = "application/octet-stream"
    send("PUT", f"{BENTOS}/v1/upload", content)
    assert send("GET", f"{BENTOS}/v1/download", b"") == content


def prepare_beside(home: Home, dsn: str, ports: Mapping[str, int], s3_port: int) -> None:
    """In a process of its own, as the init container is one: it runs a loop."""
    code = (
        "import json, sys; from pathlib import Path; from cli.containers import Store, prepare;"
        "from cli.home import Home;"
        "home, dsn, ports, s3 = sys.argv[1:];"
        "prepare(Home(Path(home)), admin_dsn=dsn, ports=json.loads(ports), hosts={},"
        "        store=Store(s3, 'yokocho'))"
    )
    given = [str(home.root), dsn, json.dumps(ports), f"http://127.0.0.1:{s3_port}"]
    subprocess.run([sys.executable, "-c", code, *given], check=True, timeout=30)


@contextmanager
def started(words: list[str], log: Path) -> Iterator[None]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("YOKOCHO_")}
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=out, cwd=ROOT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)


def until_answered(url: str, headers: Mapping[str, str] | None = None) -> Any:
    deadline = time.monotonic() + 40
    while True:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > deadline:
                pytest.fail(f"{url}: {error}")
            time.sleep(0.1)
