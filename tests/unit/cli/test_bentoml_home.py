"""A BentoML home is packed as its client packs it: what it would push, and nothing else."""

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.carry.home import HomeSource
from cli.carry.progress import Lines
from cli.errors import CommandError
from tests.support.bentohome import bento, content, found, model

KINDS = ("model", "bento")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "bentos").mkdir(parents=True)
    return tmp_path / "home"


def members(home: Path, tag: str) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content(home, tag))) as tar:
        return tar.getnames()


def test_a_client_writes_the_same_archive(home: Path) -> None:
    folder = bento(home)
    (folder / "src" / "link").symlink_to("service")
    (folder / "src" / "again").hardlink_to(folder / "src" / "service")
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w:") as tar:  # BentoAPI._do_push_bento
        tar.add(folder, arcname="./")
    once = content(home, "bento fraud:b1")
    assert hashlib.sha256(once).digest() == hashlib.sha256(expected.getvalue()).digest()
    assert content(home, "bento fraud:b1") == once


def test_members_are_sorted_whatever_order_they_were_written_in(home: Path) -> None:
    bento(home)
    names = members(home, "bento fraud:b1")
    assert names[0] == "."
    assert [each for each in names if each.startswith("./src/")] == [
        "./src/B",
        "./src/a",
        "./src/service",
    ]


def test_models_come_before_bentos_and_older_before_newer(home: Path) -> None:
    model(home, "a-newer")
    older = model(home, "z-older") / "model.yaml"
    older.write_text(older.read_text().replace("2026-11-20T", "2025-11-20T"))
    bento(home)
    (home / "models" / "iris" / "latest").write_text("a-newer")
    assert list(found(home)[0]) == ["model iris:z-older", "model iris:a-newer", "bento fraud:b1"]
    assert list(found(home, kinds=("bento",))[0]) == ["bento fraud:b1"]
    assert list(found(home, match="f*")[0]) == ["bento fraud:b1"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../elsewhere"])
def test_a_link_out_of_a_version_is_refused_before_it_is_sent(home: Path, target: str) -> None:
    (bento(home) / "src" / "link").symlink_to(target)
    with pytest.raises(CommandError, match=r"would refuse it: './src/link' leads outside"):
        content(home, "bento fraud:b1")


def test_a_version_that_is_a_link_is_told(home: Path) -> None:
    real = bento(home)
    (home / "bentos" / "fraud" / "b2").symlink_to(real)
    (home / "bentos" / "fraud" / "latest").symlink_to(real)
    versions, broken = found(home)
    assert (list(versions), list(broken)) == (["bento fraud:b1"], ["bento fraud:b2"])
    assert "symbolic link" in broken["bento fraud:b2"]


def test_a_device_or_queue_among_the_files_is_refused(home: Path) -> None:
    os.mkfifo(bento(home) / "src" / "queue")
    with pytest.raises(CommandError, match="neither file, folder nor link"):
        content(home, "bento fraud:b1")


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder, as somebody sees it whom files can refuse."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_file_that_may_not_be_read_is_named(nobody: Path) -> None:
    (nobody / "bentos").mkdir()
    secret = bento(nobody) / "src" / "service"
    secret.chmod(0)
    _, packed = found(nobody)[0]["bento fraud:b1"]
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        with (
            pytest.raises(CommandError, match=r"Permission denied: .*/src/service"),
            packed(Lines()),
        ):
            pass
    finally:
        os.seteuid(was)


def test_what_is_no_home_is_said_to_be_none(tmp_path: Path) -> None:
    for each in (tmp_path, tmp_path / "not there"):
        with pytest.raises(CommandError, match="is no BentoML home"):
            HomeSource(each, kinds=KINDS, match="*")
