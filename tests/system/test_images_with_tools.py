"""skopeo, umoci, buildah and crane read, unpack and build on an image that we have made."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.builder.plan import BENTO
from tests.support.image_tools import Toolbox
from tests.support.platform import LocalPlatform
from tests.support.rootfs import Rootfs
from tests.support.twenty import Bench, Case, case_of

pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of("files")


@pytest.fixture(scope="module")
def build(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.imager.built(bench.pushed(case))


@pytest.fixture
def tools(platform: LocalPlatform, tmp_path: Path) -> Toolbox:
    return Toolbox(platform, tmp_path)


@pytest.fixture
def image(tools: Toolbox, build: dict[str, Any]) -> str:
    """Its name, for whoever asks our registry."""
    return f"{tools.registry}/{build['uri'].removeprefix('oci://').partition('@')[0]}"


def copied(tools: Toolbox, image: str) -> Path:
    """An OCI layout that skopeo has made of it."""
    plain = ("--src-tls-verify=false", "--src-creds", f"anybody:{tools.platform.token}")
    tools.run("skopeo", "--insecure-policy", "copy", *plain, f"docker://{image}", "oci:layout:v1")
    return tools.folder / "layout"


def answers(root: Path, config: dict[str, Any], case: Case) -> None:
    with Rootfs(root, config).serving() as running:
        assert running.answers(case.route, case.body) == case.answer


def test_skopeo_inspects_and_copies(
    tools: Toolbox, image: str, *, build: dict[str, Any], bench: Bench
) -> None:
    login = ("--tls-verify=false", "-u", "anybody", "--password-stdin", tools.registry)
    tools.run("skopeo", "login", *login, said=tools.platform.token)
    seen = json.loads(tools.run("skopeo", "inspect", "--tls-verify=false", f"docker://{image}"))
    pulled = bench.imager.pull(build)
    assert seen["Digest"] == build["image_digest"]
    assert seen["Layers"] == [each["digest"] for each in pulled.layers]
    assert (seen["Os"], seen["Architecture"]) == ("linux", "amd64")

    layout = copied(tools, image)
    index = json.loads((layout / "index.json").read_text())
    assert [each["digest"] for each in index["manifests"]] == [build["image_digest"]]
    plain = ("copy", "--src-tls-verify=false", f"docker://{image}")
    tools.run("skopeo", "--insecure-policy", *plain, "dir:flat")
    kept = json.loads((tools.folder / "flat/manifest.json").read_text())
    assert kept == pulled.manifest


def test_umoci_unpacks_what_runs(
    tools: Toolbox, image: str, *, bench: Bench, build: dict[str, Any], case: Case
) -> None:
    layout = copied(tools, image)
    tools.run("umoci", "unpack", "--image", f"{layout}:v1", "bundle")
    answers(tools.folder / "bundle/rootfs", bench.imager.pull(build).config["config"], case)
    told = json.loads((tools.folder / "bundle/config.json").read_text())["process"]
    assert (told["user"]["uid"], told["cwd"]) == (1034, BENTO)


def test_buildah_runs_commands_in_it_and_builds_on_it(
    tools: Toolbox, image: str, *, case: Case
) -> None:
    (tools.folder / "auth.json").write_text("{}")
    plain = ("--tls-verify=false", "--creds", f"anybody:{tools.platform.token}")
    trusted = ("--signature-policy", str(tools.policy))
    made = tools.buildah("from", "-q", *plain, *trusted, image)
    apart = ("run", "--isolation", "chroot", made, "--")
    assert tools.buildah(*apart, "id", "-un") == "bentoml"
    assert "1.4.39" in tools.buildah(*apart, "python", "-m", "bentoml", "--version")
    tools.buildah(*apart, "sh", "-c", f"echo more >{BENTO}/more")
    tools.buildah("config", "--label", "on.top=yes", made)
    tools.buildah("commit", "-q", *trusted, made, "oci:onto:v1")
    tools.run("umoci", "unpack", "--image", f"{tools.folder}/onto:v1", "bundle")
    root = tools.folder / "bundle/rootfs"
    assert (root / "home/bentoml/bento/more").read_text() == "more\n"
    inspected = tools.run("skopeo", "inspect", "--config", "oci:onto:v1")
    config = json.loads(inspected)["config"]
    assert config["Labels"]["on.top"] == "yes"
    answers(root, config, case)


def test_crane_validates_every_byte_and_exports(
    tools: Toolbox, image: str, *, bench: Bench, build: dict[str, Any], case: Case
) -> None:
    login = (tools.registry, "-u", "anybody", "--password-stdin")
    tools.run("crane", "auth", "login", *login, said=tools.platform.token)
    pulled = bench.imager.pull(build)
    assert tools.run("crane", "digest", image).strip() == build["image_digest"]
    assert json.loads(tools.run("crane", "manifest", image)) == pulled.manifest
    assert json.loads(tools.run("crane", "config", image)) == pulled.config
    tools.run("crane", "validate", "--remote", image)
    tools.run("crane", "export", image, "flat.tar")
    root = tools.folder / "root"
    root.mkdir()
    tools.run("tar", "-xpf", "flat.tar", "-C", str(root), "--numeric-owner")
    answers(root, pulled.config["config"], case)
