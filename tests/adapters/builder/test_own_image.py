"""`make images`: the platform's own image, read by others' programs and run in its rootfs."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.images import assemble, push
from services.builder.errors import BuildFailedError
from tests.support.base_image import base_image
from tests.support.buildah import Image
from tests.support.oci_registries import registry_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
_PLATFORM = "linux/amd64"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("own") / "yokocho"
    asyncio.run(assemble(str(base_image()), into, platform=_PLATFORM))
    return into


@pytest.fixture(scope="module")
def rootfs(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("its root file system is entered with chroot")
    folder = tmp_path_factory.mktemp("rootfs")
    Image(layout).unpack(folder)
    return folder


def inside(rootfs: Path, layout: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """As its user, with its environment and its entrypoint unless ``words`` name a program."""
    config = Image(layout).config["config"]
    return subprocess.run(
        ["chroot", "--userspec=10001:10001", str(rootfs), "env", "-i", *config["Env"], *words],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_it_is_the_same_bytes_twice(layout: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = await assemble(str(base_image()), tmp_path / "again", platform=_PLATFORM)
    finally:
        os.umask(before)
    assert again == Image(layout).digest


async def test_what_is_no_layout_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("of years")
    with pytest.raises(BuildFailedError, match="no image layout"):
        await assemble(str(base_image()), tmp_path, platform=_PLATFORM)
    assert (tmp_path / "letters").exists()


def test_skopeo_and_buildah_read_it(layout: Path, tmp_path: Path) -> None:
    if not (shutil.which("skopeo") and shutil.which("buildah")):
        pytest.skip("skopeo or buildah is not installed")
    told = subprocess.run(
        ["skopeo", "inspect", f"oci:{layout}:yokocho"], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout)["Digest"] == Image(layout).digest
    storage = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"))
    pulled = ["buildah", *storage, "--storage-driver", "vfs", "pull", "-q", f"oci:{layout}:yokocho"]
    subprocess.run(pulled, capture_output=True, check=True, timeout=120)


def test_it_runs_what_the_dockerfile_runs_as_its_user(layout: Path, rootfs: Path) -> None:
    config = Image(layout).config["config"]
    assert (config["User"], config["Entrypoint"]) == ("yokocho", ["python", "-m", "cli"])
    said = inside(rootfs, layout, *config["Entrypoint"], "--help")
    assert said.returncode == 0, said.stderr
    assert "prepare" in said.stdout
    assert "serve" in said.stdout
    unprepared = inside(rootfs, layout, *config["Entrypoint"], "serve", "registry")
    assert unprepared.returncode != 0
    assert "prepare" in unprepared.stdout + unprepared.stderr
    service = inside(rootfs, layout, "python", "-m", "services.registry")
    assert "YOKOCHO_REGISTRY_" in service.stdout + service.stderr


def test_its_user_can_write_its_home_and_nothing_else(layout: Path, rootfs: Path) -> None:
    home = rootfs / "var/lib/yokocho"
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (10001, 0o700)
    assert list(home.iterdir()) == []
    probe = "touch /var/lib/yokocho/x && ! touch /opt/yokocho/x && ! touch /opt/yokocho/.venv/x"
    assert inside(rootfs, layout, "sh", "-c", probe).returncode == 0
    (home / "x").unlink()
    found = subprocess.run(
        ["find", str(rootfs / "opt"), "-not", "-user", "root"], capture_output=True, check=True
    )
    assert found.stdout == b""


async def test_it_is_pushed_and_found_by_its_digest(layout: Path, tmp_path: Path) -> None:
    with registry_of("docker-registry", tmp_path) as url:
        host = url.partition("//")[2]
        where = await push(layout, f"{host}/ours/yokocho:1", plain_http=[host])
        assert where == f"{host}/ours/yokocho@{Image(layout).digest}"
