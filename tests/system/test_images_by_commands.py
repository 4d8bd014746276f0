"""Bentos whose images need commands: built by their own Dockerfile, run, and asked."""

import os
from collections.abc import Iterator

import pytest

from tests.support.imager import Imager
from tests.support.platform import running
from tests.support.twenty import BY_COMMANDS, Bench, Case, case_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.soak]

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
    assert refused["status"] == "failed"
    assert "conda" in refused["reason"]


def test_a_prebuilt_image_is_taken_as_it_is_and_answers(bench: Bench) -> None:
    case = case_of("command")
    tag = bench.pushed(case)
    first = bench.imager.built(tag)
    taken = bench.imager.built(tag, image=first["uri"].partition("@")[0])
    assert (taken["strategy"], taken["image_digest"]) == ("prebuilt", first["image_digest"])
    bench.check(case, taken)
