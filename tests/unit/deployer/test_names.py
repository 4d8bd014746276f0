"""Names that become part of host names, and bentos as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.domain.names import Address, Tag, invented_name, known_cluster
from services.deployer.domain.selection import selection_of
from services.deployer.errors import (
    ClusterUnknownError,
    DeploymentInvalidError,
    FilterInvalidError,
)


def test_a_name_alone_is_in_the_default_namespace() -> None:
    assert Address.parse("gw") == Address("default", "gw")
    assert Address.parse("default.gw").wire == "gw"
    assert Address.parse("team.gw").wire == "team.gw"


@pytest.mark.parametrize(
    "text", ["", "Gw", "1gw", "-gw", "gw-", "a_b", "a.b.c", "team.", ".gw", "x" * 64, "gw\n"]
)
def test_what_is_no_host_label_is_no_name(text: str) -> None:
    with pytest.raises(DeploymentInvalidError):
        Address.parse(text)


@given(st.from_regex(r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_an_invented_name_is_a_name(repository: str) -> None:
    name = invented_name(repository, "1a2b")

    assert Address.parse(name).name == name


@pytest.mark.parametrize("text", ["", "A", "a:B", "a:b:c", "../x", "a:" + "x" * 64])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(DeploymentInvalidError):
        Tag.parse(text)


def test_there_is_one_cluster() -> None:
    assert known_cluster("") == known_cluster("default") == "default"
    with pytest.raises(ClusterUnknownError):
        known_cluster("moon")


def test_a_filter_that_is_not_understood_is_refused() -> None:
    with pytest.raises(FilterInvalidError, match="creator:@me"):
        selection_of("creator:@me", "")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("iris", Tag("iris", "latest")),
        ("iris:v1", Tag("iris", "v1")),
        ("iris@production", Tag("iris", "@production")),
    ],
)
def test_a_bento_is_named_with_or_without_version_or_by_an_alias(text: str, tag: Tag) -> None:
    assert Tag.parse(text) == tag
    assert str(tag).startswith(text)


@pytest.mark.parametrize("text", ["", ":v1", "iris@", "iris:v1@production", "iris@a@b", "@a", "A"])
def test_what_names_no_bento_is_refused(text: str) -> None:
    with pytest.raises(DeploymentInvalidError):
        Tag.parse(text)
