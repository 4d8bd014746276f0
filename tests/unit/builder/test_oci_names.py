"""Names, descriptors and challenges: read as everybody writes them, refused where nobody does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.mediatypes import OCI_MANIFEST
from services.builder.oci import (
    Descriptor,
    DescriptorInvalidError,
    Platform,
    ReferenceInvalidError,
    parse_platform,
    parse_reference,
)
from services.builder.oci.challenge import Challenge, parse_challenges

DIGEST = f"sha256:{'a' * 64}"
PART = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+){0,2}", fullmatch=True).filter(
    lambda part: len(part) < 40
)
TAG = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", fullmatch=True)


# -- references


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("bentoml/bento", "docker.io/bentoml/bento:latest"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/library/python:3", "docker.io/library/python:3"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("GHCR.io/a/b:V1", "ghcr.io/a/b:V1"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ("a/b:5000", "docker.io/a/b:5000"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"r.io/a:v1@{DIGEST}", f"r.io/a:v1@{DIGEST}"),
    ],
)
def test_references_are_understood_as_docker_does(text: str, canonical: str) -> None:
    reference = parse_reference(text)

    assert str(reference) == canonical
    assert parse_reference(canonical) == reference


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "@", "/", "a:", "a@", "a/", "/a", "a//b", "Python", "a b", "a\n", "a:b:c", "-a",
        "a..b", "a/../b", "a:-b", f"a:{'b' * 129}", "a@sha256:zz", "a@md5:" + "a" * 32, "a" * 64,
        "a@sha256:" + "A" * 64, f"a@{DIGEST}@{DIGEST}", "r.io:0/a", "r.io:65536/a", "r.io:x/a",
        "https://r.io/a", "user@r.io/a", "r..io/a", "-r.io/a", "r.io/" + "a" * 256, "a" * 1025,
        "r.io?x/a", "r.io/a?b", "r.io/a#b", "r.io/a%2e", "ä/b", "r.io\n/a", "r.io/a\n", "a:v1\n",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalidError):
        parse_reference(text)


@settings(max_examples=25, deadline=None)
@given(st.lists(PART, min_size=1, max_size=4), TAG, st.booleans())
def test_what_is_built_of_its_parts_is_a_reference(
    parts: list[str],
    tag: str,
    digest: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    text = f"r.example.com/{'/'.join(parts)}:{tag}{'@' + DIGEST if digest else ''}"

    reference = parse_reference(text)

    assert str(reference) == text
    assert reference.wanted == (DIGEST if digest else tag)


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ReferenceInvalidError:
        return
    assert parse_reference(str(reference)) == reference


def test_docker_hub_does_not_answer_at_its_name() -> None:
    assert parse_reference("python").host == "registry-1.docker.io"
    assert parse_reference("ghcr.io/a").host == "ghcr.io"


# -- descriptors


def test_a_descriptor_is_written_as_it_was_read() -> None:
    said = {
        "mediaType": OCI_MANIFEST,
        "digest": DIGEST,
        "size": 3,
        "artifactType": "application/vnd.cyclonedx+json",
        "annotations": {"a": "b"},
        "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
    }
    descriptor = Descriptor.from_json({**said, "urls": ["http://x"], "data": "e30="})

    assert descriptor.to_json() == said
    assert list(descriptor.to_json()) == list(said)
    assert hash(descriptor)


@pytest.mark.parametrize(
    "changed",
    [
        {"size": -1}, {"size": "3"}, {"size": True}, {"size": 2**60}, {"size": 3.0},
        {"digest": "x"}, {"digest": None}, {"digest": f"{DIGEST}\n"}, {"digest": "../../etc"},
        {"mediaType": ""}, {"mediaType": "a"}, {"mediaType": "a/b\r\nX: y"}, {"mediaType": 3},
        {"annotations": []}, {"annotations": {"a": 3}}, {"annotations": {"a": "b" * 2**17}},
        {"annotations": dict.fromkeys(map(str, range(300)), "")}, {"artifactType": "x y"},
        {"platform": 3}, {"platform": {"os": "linux"}}, {"platform": {"os": "a/b"}},
    ],
)  # fmt: skip
def test_what_is_no_descriptor_is_refused(changed: dict[str, Any]) -> None:
    good = {"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 3}
    assert Descriptor.from_json(good).size == 3

    with pytest.raises(DescriptorInvalidError):
        Descriptor.from_json(good | changed)


@pytest.mark.parametrize("said", [None, 3, [], "x"])
def test_what_is_no_object_is_no_descriptor(said: object) -> None:
    with pytest.raises(DescriptorInvalidError):
        Descriptor.from_json(said)


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
    ],
)
def test_platforms_are_read(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform
    assert parse_platform(str(platform)) == platform


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "a b/c"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(DescriptorInvalidError):
        parse_platform(text)


def test_arm64_is_arm64_whatever_its_variant() -> None:
    arm = parse_platform("linux/arm64")

    assert arm.runs(parse_platform("linux/arm64/v8"))
    assert not arm.runs(parse_platform("linux/amd64"))
    assert not parse_platform("linux/arm/v6").runs(parse_platform("linux/arm/v7"))


# -- challenges


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="a b"', [("basic", {"realm": "a b"})]),
        ('BASIC REALM="a", Charset=UTF-8', [("basic", {"realm": "a", "charset": "UTF-8"})]),
        (
            'Bearer realm="https://a/t?x=1,2",service="s, t",scope="repository:a:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/t?x=1,2",
                        "service": "s, t",
                        "scope": "repository:a:pull,push",
                    },
                )
            ],
        ),
        (
            'Basic realm="a", Bearer realm = "b" , service=c',
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        (
            'Negotiate, Negotiate YWJj==, Basic realm="a"',
            [("negotiate", {}), ("negotiate", {}), ("basic", {"realm": "a"})],
        ),
        (r'Basic realm="a \"b\" \\c"', [("basic", {"realm": r'a "b" \c'})]),
        ('Basic realm=""', [("basic", {"realm": ""})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('Bearer realm="a', [("bearer", {"realm": ""})]),
        (",, ,", []),
        ("", []),
        ("\x00", []),
        ("realm=a", []),
    ],
)
def test_challenges_are_read(header: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(header) == [Challenge(*each) for each in challenges]


@given(st.text(alphabet=' ,="\\abB/:\n\x00', max_size=200))
def test_any_challenge_is_read_in_time(header: str) -> None:
    parse_challenges(header)


def test_long_challenges_take_no_time() -> None:
    for piece in ('a="', ",", 'a="\\"', "a ", "a=", '"', "a" * 100):
        parse_challenges(piece * 100_000)
