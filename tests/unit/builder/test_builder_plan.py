"""What a manifest asks for, and which digests name the result."""

from typing import Any

import pytest

from services.builder import plan
from services.builder.domain import Interpreter, Model
from services.builder.errors import BuildFailedError

PYTHON = Interpreter("/bin/python", "3.11.7", "linux-x86_64")
A, B = Model("a", "1", "sha256:" + "a" * 64), Model("b", "1", "sha256:" + "b" * 64)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"image": {"commands": ["apt-get install -y ffmpeg"]}}, "image-needs-commands"),
        ({"image": {"base_image": "nvidia/cuda:12"}}, "image-needs-base"),
        ({"docker": {"base_image": "debian"}}, "image-needs-base"),
        ({"docker": {"system_packages": ["git"]}}, "image-needs-commands"),
        ({"docker": {"setup_script": "./x.sh"}}, "image-needs-commands"),
        ({"conda": {"dependencies": ["numpy"]}}, "image-needs-commands"),
    ],
)
def test_what_only_a_container_could_do_is_refused(manifest: dict[str, Any], code: str) -> None:
    with pytest.raises(BuildFailedError) as refused:
        plan.require_environment(plan.read(manifest, fallback_python="3.11"))
    assert refused.value.code == code


def test_the_command_of_every_client_is_left_out() -> None:
    commands = [each.replace("&&", " && ") for each in plan.DEFAULT_COMMANDS]
    manifest = {"image": {"base_image": "python:3.11-slim", "commands": commands}}
    asked = plan.read(manifest, fallback_python="3.11")
    assert (asked.commands, len(asked.dropped)) == ((), len(commands))


@pytest.mark.parametrize(
    ("version", "text", "resolved"),
    [
        ("1.4.19", "--index-url x\nnumpy\n", "numpy\nbentoml==1.4.19\n"),
        ("1.3.22", "bentoml==1.3.22\n", "bentoml==1.3.22\nsetuptools<81\n"),
        ("1.3.22", "BentoML[io]\nsetuptools==70\n", "BentoML[io]\nsetuptools==70\n"),
        ("1.4.0+dirty", "# none\n", ""),
        (
            "1.4.2",
            "--find-links /opt/wheels\n-f /srv\n--find-links https://a.example/\nbentoml==1.4.2",
            "--find-links https://a.example/\nbentoml==1.4.2\n",
        ),
    ],
)
def test_requirements(version: str, text: str, resolved: str) -> None:
    assert plan.requirements_of({"bentoml_version": version}, text) == resolved


@pytest.mark.parametrize(("asked", "found"), [("3.11", "3.11"), ("3.12.4", "3.12"), ("", "3.10")])
def test_python(asked: str, found: str) -> None:
    manifest = {"image": {"python_version": asked}}
    assert plan.read(manifest, fallback_python="3.10").python == found


@pytest.mark.parametrize(
    ("manifest", "base"),
    [
        ({}, "python:3.11-slim"),
        ({"conda": {"channels": None, "dependencies": []}}, "python:3.11-slim"),
        ({"conda": {"dependencies": ["h2o"]}}, "continuumio/miniconda3:latest"),
        (
            {"conda": {"pip": ["h2o"]}, "docker": {"distro": "alpine"}},
            "continuumio/miniconda3:4.10.3p0-alpine",
        ),
        ({"conda": {"pip": ["h2o"]}, "docker": {"base_image": "own/conda"}}, "own/conda"),
    ],
)
def test_a_base_is_what_the_bentos_own_dockerfile_begins_with(
    manifest: dict[str, Any], base: str
) -> None:
    assert plan.read(manifest, fallback_python="3.11").base == base


def test_digests_depend_on_what_is_inside_and_on_nothing_else() -> None:
    environment = plan.environment_digest("a==1\n", PYTHON)
    assert environment == plan.environment_digest("# made by\na==1\n", PYTHON)
    assert environment != plan.environment_digest("a==2\n", PYTHON)
    image = plan.image_digest(environment, "sha256:x", [A, B])
    assert image == plan.image_digest(environment, "sha256:x", [B, A])
    assert image != plan.image_digest(environment, "sha256:y", [A, B])
    assert image != plan.image_digest(environment, "sha256:x", [A])


def test_packages_that_debian_has_removed_are_not_offered() -> None:
    status = "Package: libc6\nStatus: {}\nArchitecture: amd64\nVersion: 2.36-9\n"
    for said, libc in (
        ("install ok installed", "glibc 2.36"),
        ("purge ok not-installed", ""),
        ("deinstall ok config-files", ""),
    ):
        assert plan.libc_of({}, {"var/lib/dpkg/status": status.format(said)}) == libc
