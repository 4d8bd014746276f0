"""A terminal sees bars; a log sees a line for each version; neither obeys what others named."""

import io

import pytest
from rich.console import Console
from rich.live import Live

from cli.carry.progress import Bars, Lines, Metered, shown


def drawn(width: int = 120) -> tuple[Bars, io.StringIO, Console]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    return Bars(console), screen, console


def test_bars_say_the_bytes_under_way_and_the_versions() -> None:
    bars, screen, console = drawn()
    bars.expect(17)
    bars.step()
    bars.step()
    bars.begin("bento fraud:v1", 4 * 2**20)
    bars.advance(2**20)
    console.print(bars.rows)
    assert "bento fraud:v1" in screen.getvalue()
    assert "1.0/4.0 MiB" in screen.getvalue()
    assert " 2/17 " in screen.getvalue()


def test_bytes_without_an_end_are_counted_all_the_same() -> None:
    bars, screen, console = drawn()
    bars.begin("packing fraud:v1")
    bars.advance(2048)
    console.print(bars.rows)
    assert "2.0/? KiB" in screen.getvalue()


def test_bars_leave_nothing_behind_but_what_is_to_be_read() -> None:
    bars, screen, console = drawn()
    with Live(bars.rows, console=console, transient=True):
        bars.line("bento fraud:v1: imported")
        bars.say("bento fraud:[red]v2: its \x1b[2J bytes are damaged")
    assert "imported" not in screen.getvalue()
    assert r"bento fraud:[red]v2: its \x1b[2J bytes are damaged" in screen.getvalue()


def test_names_of_others_do_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bars, screen, console = drawn()
    bars.begin("bento \x1b]0;owned\x07:v1", 1)
    console.print(bars.rows)
    Lines().line("bento \x1b]0;owned\x07:v1: imported")
    assert r"\x1b]0;owned\x07" in screen.getvalue()
    assert capsys.readouterr().err == "bento \\x1b]0;owned\\x07:v1: imported\n"


def test_what_is_no_terminal_gets_lines() -> None:
    with shown() as watcher:
        assert isinstance(watcher, Lines)


def test_a_metered_file_gives_what_is_asked_for_and_counts_it() -> None:
    counted: list[int] = []
    file = Metered(io.BytesIO(b"abcdef"), counted.append)
    assert (file.read(4), file.read(4), file.read(4)) == (b"abcd", b"ef", b"")
    assert sum(counted) == 6
