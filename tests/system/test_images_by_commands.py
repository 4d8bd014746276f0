"""Bentos whose images need commands: built by their own Dockerfile, run, and asked."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator

import pytest

from cli.embedded.postgres import service_dsn
from cli.home import Home
from tests.support.imager import Imager
from tests.support.platform import LocalPlatform, running
from tests.support.postgres import pool_of
from tests.support.pulled import Pulled
from tests.support.traces import dumped, files_with, joined, traces
from tests.support.twenty import BY_COMMANDS, Bench, Case, case_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.soak]

TOKEN = "kept/to ourselves+42"
USED = hashlib.sha256(TOKEN.encode()).hexdigest()
SECRET = Case("secret", {}, {"used": USED, "kept": False})
BUNDLE = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """On a platform whose commands trust the authorities that this machine trusts."""
    told = {"YOKOCHO_BUILDER_COMMANDS__CA_BUNDLE": BUNDLE}
    with running(tmp_path_factory.mktemp("platform") / "home", env=told) as platform:
        imager = Imager(platform, tmp_path_factory.mktemp("images"))
        imager.bring_debian()
        yield Bench(imager, tmp_path_factory.mktemp("clients"))


@pytest.mark.parametrize("case", BY_COMMANDS, ids=[each.name for each in BY_COMMANDS])
def test_an_image_answers_that_commands_have_made(bench: Bench, case: Case) -> None:
    bench.ask(case, "buildah")


def test_where_packages_come_as_source_the_tools_to_build_them_are_installed(bench: Bench) -> None:
    build = bench.imager.built(bench.pushed(case_of("sdist")), strategy=None)
    assert any("no wheel" in each and "docopt" in each for each in build["why"]), build["why"]
    assert "build-essential" in bench.imager.log(build)


def test_a_bento_for_conda_is_refused_in_words(bench: Bench) -> None:
    client = bench.client("1.4")
    tag = bench.packed(client, bench.source("conda"))
    refused = bench.imager.build(tag, strategy="assemble")
    assert (refused["status"], refused["code"]) == ("failed", "strategy-impossible")
    assert "it asks for conda.dependencies: ['h2o']" in refused["reason"]
    without = bench.imager.build(tag)
    assert (without["status"], without["code"]) == ("failed", "base-image-absent")
    assert "continuumio/miniconda3:latest" in without["reason"]


def test_a_prebuilt_image_is_taken_as_it_is_and_answers(bench: Bench) -> None:
    case = case_of("command")
    tag = bench.pushed(case)
    first = bench.imager.built(tag)
    taken = bench.imager.built(tag, image=first["uri"].partition("@")[0])
    assert (taken["strategy"], taken["image_digest"]) == ("prebuilt", first["image_digest"])
    bench.check(case, taken)


async def test_a_command_uses_a_secret_that_is_nowhere_afterwards(bench: Bench) -> None:
    imager, tag = bench.imager, bench.pushed(SECRET)
    without = imager.build(tag)
    assert (without["status"], without["code"]) == ("failed", "variable-absent"), without

    platform = imager.platform
    platform.yokocho("secrets", "create", "hub", "--stage", "build", f"HUB_TOKEN={TOKEN}")
    build = imager.built(tag, secrets=["hub"], seconds=SECRET.seconds)
    assert build["strategy"] == "buildah", build["why"]
    bench.check(SECRET, build)

    content = joined(everything(imager.pull(build)))
    assert USED.encode() in content
    assert not traces(TOKEN, content)
    assert "asked with ***" in imager.log(build)
    told = json.dumps([build, platform.events()]) + imager.log(build)
    assert not traces(TOKEN, told.encode())
    rows = await rows_of_the_builder(platform)
    assert b"HUB_TOKEN" in rows  # the plan says what was given, by name
    assert not traces(TOKEN, rows)
    assert files_with(TOKEN, platform.home) == []


def everything(pulled: Pulled) -> Iterator[bytes]:
    """Manifest, config with its history, and what layers have, also below others."""
    yield json.dumps([pulled.manifest, pulled.config]).encode()
    for layer in pulled.layers:
        with pulled.blob(layer["digest"]) as stream, tarfile.open(fileobj=stream) as tar:
            for member in tar:
                yield member.name.encode()
                if file := tar.extractfile(member) if member.isreg() else None:
                    yield file.read()


async def rows_of_the_builder(platform: LocalPlatform) -> bytes:
    home = Home(platform.home)
    port, password = home.identity().ports["postgres"], home.secrets()["postgres"]["builder"]
    async with pool_of(service_dsn(port, "builder", password)) as pool:
        return await dumped(pool)
