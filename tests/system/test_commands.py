"""The commands a person types, against a running platform."""

import json
import stat
import urllib.request
from pathlib import Path

import yaml

from tests.support.driver import Driver
from tests.support.platform import LocalPlatform
from tests.support.tiny import tiny_bento


def test_doctor_finds_nothing_wrong_with_a_running_platform(platform: LocalPlatform) -> None:
    findings = json.loads(platform.yokocho("doctor", "--json").stdout)

    checked = {each["check"] for each in findings}
    isolated = {"isolation", "isolation of builds", "resources"}
    assert checked >= {"python", "postgres", "disk", *isolated}
    assert [each for each in findings if each["cure"]] == []


def test_doctor_and_status_agree_on_what_resources_mean(platform: LocalPlatform) -> None:
    findings = json.loads(platform.yokocho("doctor", "--json").stdout)
    status = json.loads(platform.yokocho("status", "--json").stdout)

    [found] = [each["found"] for each in findings if each["check"] == "resources"]
    limited = found.startswith("limited by cgroups")
    assert status["limits"].startswith("limited by cgroups") is limited
    assert "not limited: " in found or limited


def test_login_writes_the_clients_context_and_keeps_the_others(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    file = tmp_path / ".yatai.yaml"
    other = {"name": "cloud", "endpoint": "https://x", "api_token": "t", "email": "e"}
    file.write_text(yaml.safe_dump({"contexts": [other], "current_context_name": "cloud"}))
    told = LocalPlatform(platform.home, platform.port, {"BENTOML_HOME": str(tmp_path)})

    told.yokocho("login", "--context", "local")

    written = yaml.safe_load(file.read_text())
    assert [each["name"] for each in written["contexts"]] == ["cloud", "local"]
    assert written["current_context_name"] == "local"
    assert written["contexts"][1]["endpoint"] == platform.url
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_events_and_logs_are_shown(platform: LocalPlatform) -> None:
    events = json.loads(platform.yokocho("events", "--json", "--type", "tenant.created").stdout)

    assert [each["data"]["org"] for each in events] == ["default"]
    assert "process.serving" in platform.yokocho("logs", "events", "--lines", "500").stdout


def test_followed_events_are_shown_within_two_seconds(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    files = tiny_bento(tmp_path, "followed")
    with platform.following("events", "--follow", "--json", "--last", "1") as lines:
        before = json.loads(lines.get(timeout=10))

        Driver(platform, platform.token).push(files, "followed", "v1")
        after = json.loads(lines.get(timeout=2))

    assert before["id"] != after["id"]
    assert after["type"] == "dev.yokocho.bento.pushed.v1"
    assert after["data"]["repository"] == "followed"


def test_every_service_shows_its_figures_inside_and_the_gateway_none_outside(
    platform: LocalPlatform,
) -> None:
    ports = json.loads((platform.home / "home.json").read_text())["ports"]
    for name in ("registry", "builder", "deployer", "events", "gateway_internal"):
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[name]}/metrics") as answer:
            assert b"yokocho_http_requests_total" in answer.read(), name
    assert platform.request("GET", "/metrics")[0] == 404


def test_bentos_are_listed_shown_and_given_aliases(platform: LocalPlatform, pushed: str) -> None:
    name, _, version = pushed.partition(":")
    query = f"name = {name} and version = {version}"

    listed = json.loads(platform.yokocho("bentos", "list", query, "--json").stdout)
    assert [each["version"] for each in listed["items"]] == [version]
    platform.yokocho("bentos", "alias", name, "cli", version)
    assert "cli" in platform.yokocho("bentos", "aliases", name).stdout
    shown = json.loads(platform.yokocho("bentos", "show", f"{name}@cli", "--json").stdout)
    assert shown["digest"].startswith("sha256:")
    platform.yokocho("bentos", "unalias", name, "cli")
    again = platform.yokocho("bentos", "show", f"{name}@cli", check=False)
    assert (again.returncode, "no alias" in again.stderr) == (1, True)
    wrong = platform.yokocho("bentos", "list", "size >", check=False)
    assert "at character" in wrong.stderr


def test_a_version_is_looked_into_deleted_and_brought_back(
    platform: LocalPlatform, pushed: str
) -> None:
    name, _, version = pushed.partition(":")
    assert "bento.yaml" in platform.yokocho("bentos", "tree", pushed).stdout
    described = platform.yokocho("bentos", "cat", pushed, "bento.yaml").stdout
    assert f"version: {version}" in described
    assert "no difference" in platform.yokocho("bentos", "diff", pushed, pushed).stdout
    assert "is right" in platform.yokocho("bentos", "verify", pushed).stdout
    assert "stays" in platform.yokocho("bentos", "keep", name, "--last", "1", "--dry-run").stdout

    platform.yokocho("bentos", "alias", name, "kept", version)
    held = platform.yokocho("bentos", "delete", pushed, check=False)
    assert (held.returncode, "alias kept" in held.stderr) == (1, True)
    platform.yokocho("bentos", "unalias", name, "kept")
    platform.yokocho("bentos", "delete", pushed)
    assert version in platform.yokocho("bentos", "trash").stdout
    assert version not in platform.yokocho("bentos", "list").stdout
    platform.yokocho("bentos", "gc", "--dry-run")
    platform.yokocho("bentos", "undelete", pushed)
    assert version in platform.yokocho("bentos", "list").stdout


def test_a_taken_port_is_said_plainly(platform: LocalPlatform, tmp_path: Path) -> None:
    rival = LocalPlatform(tmp_path / "home", platform.port)

    done = rival.yokocho("up", "--detach", "--port", str(platform.port), check=False)

    assert done.returncode == 1
    assert str(platform.port) in done.stderr
    assert "Traceback" not in done.stderr
    rival.down()
