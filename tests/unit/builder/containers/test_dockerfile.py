"""A bento's Dockerfile: its base image is replaced, and nothing can be smuggled in."""

import pytest

from services.builder.containers.dockerfile import DEFAULT_COMMANDS, beginnings, prepared
from services.builder.errors import BuildFailedError

BASE = "127.0.0.1:5000/base/library/python@sha256:" + "a" * 64


def test_only_the_image_of_from_is_another() -> None:
    given = "# said by a client\nFROM python:3.11-slim AS base-container\n\nRUN echo 1\n"
    assert prepared(given, base=BASE) == given.replace("python:3.11-slim", BASE)


def test_without_a_base_the_file_stays_as_it_is() -> None:
    given = "ARG V=3.11\nFROM --platform=linux/amd64 python:$V as x\nRUN echo \\\n  # why\n  a\n"
    assert prepared(given) == given


@pytest.mark.parametrize("command", DEFAULT_COMMANDS)
def test_the_command_of_every_client_can_be_left_out(command: str) -> None:
    broken = command.replace(" && ", " && \\\n    ")
    given = f"FROM python:3.11-slim\nRUN {broken}\nRUN pip install uv\n"
    expected = "FROM python:3.11-slim\nRUN pip install uv\n"
    assert prepared(given, drop=DEFAULT_COMMANDS) == expected


@pytest.mark.parametrize("command", DEFAULT_COMMANDS)
def test_what_else_installs_packages_finds_their_lists(command: str) -> None:
    given = f"FROM python:3.11-slim\nRUN {command}\nRUN apt-get install -q -y libgomp1\n"
    expected = given.replace(command, "apt-get update")
    assert prepared(given, drop=DEFAULT_COMMANDS) == expected


def test_arguments_begin_each_stage() -> None:
    said = prepared("FROM a AS one\nFROM one\n", arguments={"PIP_CERT": "/run/ca.crt"})
    assert said == "FROM a AS one\nARG PIP_CERT=/run/ca.crt\nFROM one\nARG PIP_CERT=/run/ca.crt\n"


def test_stages_may_build_on_each_other_by_name_and_number() -> None:
    given = (
        "FROM a AS One\nFROM scratch AS two\nCOPY --from=0 /a /a\nCOPY --from=one /b /b\nFROM a\n"
    )
    assert prepared(given, base=BASE).count(BASE) == 2


@pytest.mark.parametrize(
    "lines",
    [
        "FROM a\nFROM b",
        "FROM a\nFROM $OTHER",
        "FROM a\nCOPY --from=evil/image /x /x",
        "FROM a\nRUN --mount=type=bind,from=evil/image,target=/x true",
        "# escape=`\nFROM a",
        "FROM a\nRUN <<EOF\nFROM b\nEOF",
        "FROM a b c",
        "RUN echo no image",
        "",
    ],
)
def test_what_is_not_understood_is_refused(lines: str) -> None:
    with pytest.raises(BuildFailedError, match="Dockerfile"):
        prepared(lines, base=BASE)


@pytest.mark.parametrize("base", ["a\nRUN id", "a AS b", "--platform=x", "", "$A", "a\\"])
def test_no_base_brings_an_instruction_with_it(base: str) -> None:
    with pytest.raises(ValueError, match="is no reference"):
        prepared("FROM a", base=base)


@pytest.mark.parametrize(
    ("name", "value"), [("A", "/a\nRUN id"), ("A=1\nRUN id", "/a"), ("A", "$B")]
)
def test_no_argument_brings_an_instruction_with_it(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        prepared("FROM a", arguments={name: value})


def test_it_begins_anew_where_arguments_begin_and_end() -> None:
    lines = ["ARG V=1", "FROM a", "ARG A", "# why", "ARG B", "RUN b", "COPY c /", "ARG D", "RUN e"]
    found = [len(text.splitlines()) for text in beginnings("\n".join(lines))]
    assert [lines[:each] for each in found] == [lines[:5], lines[:7], lines[:8]]


@pytest.mark.parametrize("text", ["FROM a\nRUN b\nCOPY c /", "ARG V\nFROM a", "FROM a\nARG B"])
def test_without_arguments_between_commands_it_begins_once(text: str) -> None:
    assert list(beginnings(text)) == []
