"""Versions are carried to another installation: in a file, and straight out of a running one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.bentohome import model
from tests.support.bentos import Client, source
from tests.support.platform import LocalPlatform, running

_MODEL: Final = """
import bentoml
from bentoml._internal.models.model import ModelContext

context = ModelContext(framework_name="none", framework_versions={"none": "1.0"})
told = dict(module="json", signatures={}, context=context, labels={"team": "lab"})
with bentoml.models.create("carried-weights:w1", metadata={"accuracy": 0.9}, **told) as model:
    open(model.path_of("weights.bin"), "wb").write(b"w" * 300_000)
"""
_SERVICE: Final = """
import bentoml


@bentoml.service(workers=1)
class Inner:
    weights = bentoml.models.BentoModel("carried-weights:w1")

    @bentoml.api
    def say(self, text: str) -> str:
        return text


@bentoml.service(traffic={"timeout": 20})
class CarriedHome:
    inner = bentoml.depends(Inner)

    @bentoml.api
    def say(self, text: str) -> str:
        return self.inner.say(text)
"""
_BENTOFILE: Final = """
    service: service:CarriedHome
    labels: {team: lab}
    envs: [{name: STAGE, value: dev}]
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with running(tmp_path_factory.mktemp("other") / "home") as started:
        yield started


def test_a_bento_moves_in_a_file_and_out_of_a_running_installation(
    platform: LocalPlatform, pushed: str, other: LocalPlatform, tmp_path: Path
) -> None:
    name, _, version = pushed.partition(":")
    platform.yokocho("bentos", "alias", name, "carried", version)
    file = tmp_path / "export.yokocho"
    platform.yokocho("export", pushed, "--output", str(file))
    again = platform.yokocho("export", pushed, "--output", str(file), check=False)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    assert "is right" in other.yokocho("import", str(file), "--verify").stdout

    first = json.loads(other.yokocho("import", str(file), "--json").stdout)
    assert f"bento {pushed}" in first["pushed"]
    assert first["failed"] == {}
    second = json.loads(other.yokocho("import", str(file), "--json").stdout)
    assert (second["pushed"], f"bento {pushed}" in second["skipped"]) == ([], True)
    shown = [
        json.loads(each.yokocho("bentos", "show", f"{name}@carried", "--json").stdout)["digest"]
        for each in (platform, other)
    ]
    assert shown[0] == shown[1]

    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damaged = other.yokocho("import", str(file), "--verify", check=False)
    assert (damaged.returncode, "Traceback" in damaged.stderr) == (1, False)

    other.yokocho("bentos", "unalias", name, "carried")
    other.yokocho("bentos", "delete", pushed)
    told = other.yokocho(
        "import", "--yatai", platform.url, "--token", platform.token, "--match", name, "--json"
    )
    assert f"bento {pushed}" in json.loads(told.stdout)["pushed"]
    platform.yokocho("bentos", "unalias", name, "carried")
    refused = other.yokocho(
        "import", "--yatai", platform.url, "--token", "wrong", "--json", check=False
    )
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)


def known(platform: LocalPlatform, kind: str, tag: str) -> dict[str, Any]:
    """What a platform says of a version, but for what is its own: ids, and when it came."""
    name, _, version = tag.partition(":")
    status, told = platform.request("GET", f"/api/registry/{kind}s/{name}/versions/{version}")
    assert status == 200, told
    said = ("digest", "size_bytes", "description", "manifest", "labels", "build_at")
    return {each: told[each] for each in said}


def test_a_home_is_imported_as_its_client_pushes_it(
    empty_home: Client,
    client: Client,
    platform: LocalPlatform,
    other: LocalPlatform,
    tmp_path: Path,
) -> None:
    empty_home.script(_MODEL)
    tag = empty_home.build(source(tmp_path / "carried", _SERVICE, bentofile=_BENTOFILE))
    empty_home.run("push", tag)

    words = ("import", "--bentoml-home", str(empty_home.home), "--json")
    told = json.loads(other.yokocho(*words).stdout)
    assert told == {
        "pushed": ["model carried-weights:w1", f"bento {tag}"],
        "skipped": [],
        "failed": {},
    }
    for kind, each in (("bento", tag), ("model", "carried-weights:w1")):
        assert known(other, kind, each) == known(platform, kind, each)
    assert json.loads(other.yokocho(*words, "--only", "bentos").stdout)["skipped"] == [
        f"bento {tag}"
    ]

    refused = other.yokocho(*words, "--verify", check=False)
    assert "--verify checks a file" in refused.stderr

    empty_home.login(other.url, other.token)
    assert "Push skipped" in empty_home.run("push", tag)
    fresh = Client(client.python, tmp_path / "fresh")
    fresh.home.mkdir()
    fresh.login(other.url, other.token)
    fresh.run("pull", tag, "--with-models")
    assert "carried-weights:w1" in fresh.run("models", "list")
    assert tag in fresh.run("list")


def damage(platform: LocalPlatform, tag: str) -> None:
    """On its disk; nobody has noticed."""
    digest = known(platform, "model", tag)["digest"].removeprefix("sha256:")
    [blob] = (platform.home / "blobs" / "sha256").rglob(f"{digest}*")
    blob.write_bytes(blob.read_bytes().replace(b"w", b"v"))


def test_an_export_goes_on_and_a_broken_version_keeps_nothing_else_back(
    platform: LocalPlatform, other: LocalPlatform, tmp_path: Path
) -> None:
    for name in ("sick-a", "sick-b", "sick-c"):
        model(tmp_path / "bentoml", name=name)
    words = ("import", "--bentoml-home", str(tmp_path / "bentoml"), "--json")
    assert len(json.loads(other.yokocho(*words).stdout)["pushed"]) == 3
    hub = {"metadata": {"registry": "huggingface", "model_id": "org/sick"}}
    body = {"version": "h1", "manifest": hub, "build_at": "2026-11-20 00:00:00", "description": ""}
    other.request("POST", "/api/v1/model_repositories", {"name": "sick-hub", "description": ""})
    assert other.request("POST", "/api/v1/model_repositories/sick-hub/models", body)[0] == 200

    export = ("export", "--models", "--output", str(tmp_path / "export"))
    shell = ("bash", "-c", 'ulimit -f 12; exec "$0" "$@"', sys.executable, "-m", "cli")
    full = subprocess.run(  # our own argv
        [*shell, *export, "--home", str(other.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (full.returncode, "could not be written" in full.stderr) == (1, True), full.stderr

    damage(other, "sick-b:m1")
    cut = other.yokocho(*export, check=False)
    assert (cut.returncode, "the same command goes on" in cut.stderr) == (1, True)
    other.yokocho(*words, "--force", "--match", "sick-b")
    assert "it goes on there" in other.yokocho(*export).stderr
    imported = json.loads(platform.yokocho("import", str(tmp_path / "export"), "--json").stdout)
    assert {"model sick-b:m1", "model sick-hub:h1"} <= {*imported["pushed"]}
    assert known(platform, "model", "sick-hub:h1") == known(other, "model", "sick-hub:h1")

    damage(other, "sick-b:m1")
    yatai = ("--yatai", other.url, "--token", other.token, "--match", "sick-*", "--only", "models")
    brought = platform.yokocho("import", *yatai, "--json", "--force", check=False)
    told = json.loads(brought.stdout)
    whole = ["model sick-a:m1", "model sick-c:m1", "model sick-hub:h1"]
    assert (brought.returncode, sorted(told["pushed"])) == (1, whole)
    assert list(told["failed"]) == ["model sick-b:m1"]
