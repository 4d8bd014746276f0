"""What ``docker login`` left behind: for the registry it is for, and for no other."""

import base64
import json

import pytest

from services.builder.oci import Credentials
from services.builder.oci.access import DockerConfigInvalidError, credentials_of


def config(**auths: object) -> str:
    return json.dumps({"auths": {key.replace("__", "."): each for key, each in auths.items()}})


ADA = {"auth": base64.b64encode(b"ada:pass:word").decode()}
KNOWN = Credentials("ada", "pass:word")


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "registry-1.docker.io"),
        ("localhost:5000", "localhost:5000"),
        ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
    ],
)
def test_registries_of_a_docker_config_are_known_by_their_names(key: str, registry: str) -> None:
    assert credentials_of(json.dumps({"auths": {key: ADA}}), registry) == KNOWN
    assert credentials_of(json.dumps({"auths": {key: ADA}}), "example.com") is None


@pytest.mark.parametrize("key", ["ghcr.io.example.com", "ghcr.io:444", "ghcr.io/team", "x@ghcr.io"])
def test_credentials_go_to_no_other_registry(key: str) -> None:
    assert credentials_of(json.dumps({"auths": {key: ADA}}), "ghcr.io") is None


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        ({"username": "ada", "password": "x"}, Credentials("ada", "x")),
        ({"identitytoken": "t"}, Credentials("", "", "t")),
        (ADA | {"identitytoken": "t"}, Credentials("ada", "pass:word", "t")),
        ({"username": "<token>", "password": "t"}, Credentials("", "", "t")),
        ({}, None),
        ({"auth": ""}, None),
    ],
)
def test_an_entry_of_a_docker_config(entry: dict[str, str], known: Credentials | None) -> None:
    assert credentials_of(config(ghcr__io=entry), "ghcr.io") == known


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "3", '{"auths": [3]}', '{"auths": {"ghcr.io": []}}', "[" * 100_000,
        config(ghcr__io={"auth": "?"}), config(ghcr__io={"auth": "YWRh"}),
        '{"credHelpers": {"ghcr.io": "pass"}}', '{"credsStore": "desktop"}',
        '{"auths": {"ghcr.io": {}}, "credsStore": "desktop"}', " " * (2**20 + 1),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_docker_config_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(DockerConfigInvalidError):
        credentials_of(text, "ghcr.io")


def test_helpers_of_other_registries_do_not_matter() -> None:
    assert credentials_of('{"credHelpers": {"gcr.io": "gcloud"}}', "ghcr.io") is None


def test_credentials_are_not_shown() -> None:
    shown = repr(Credentials("ada", "s3cret", "t0ken"))

    assert "s3cret" not in shown
    assert "t0ken" not in shown
