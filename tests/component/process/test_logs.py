"""Logs that are rotated, read from the end and followed while somebody writes them."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from libs.chassis.process import follow, rotate, tail


def test_a_long_log_is_emptied_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"first\n" * 10)

        rotated = rotate(log, max_bytes=10, keep=2)
        writer.write(b"second\n")

    assert rotated
    assert log.read_text() == "second\n"
    assert (tmp_path / "service.log.1").read_text() == "first\n" * 10


def test_only_so_many_old_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    for number in range(5):
        log.write_text(f"{number}\n" * 10)
        rotate(log, max_bytes=1, keep=2)

    assert (tmp_path / "service.log.1").read_text().startswith("4")
    assert (tmp_path / "service.log.2").read_text().startswith("3")
    assert not (tmp_path / "service.log.3").exists()


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("short\n")

    assert not rotate(log, max_bytes=10, keep=2)
    assert not rotate(tmp_path / "absent.log", max_bytes=10, keep=2)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(0, "", id="none"),
        pytest.param(2, "39998\n39999\n", id="the-last"),
        pytest.param(10**6, "".join(f"{n}\n" for n in range(40000)), id="more-than-there-are"),
    ],
)
def test_tail(tmp_path: Path, lines: int, expected: str) -> None:
    log = tmp_path / "service.log"
    log.write_text("".join(f"{number}\n" for number in range(40000)))

    assert tail(log, lines) == expected
    assert tail(tmp_path / "absent.log", lines) == ""


async def test_follow_survives_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("one\ntwo\n")

    async with asyncio.timeout(10), aclosing(follow(log, lines=1)) as lines:
        seen = [await anext(lines)]
        with log.open("a") as writer:
            writer.write("three\n")
        seen.append(await anext(lines))
        rotate(log, max_bytes=1, keep=1)
        with log.open("a") as writer:
            writer.write("four\n")
        seen.append(await anext(lines))

    assert seen == ["two", "three", "four"]
