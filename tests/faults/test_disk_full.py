"""The disk fills up while a bento is pushed: a clear refusal, nothing half done, then repair."""

import os
from pathlib import Path

import pytest

from tests.support import loopfs
from tests.support.bentoml_client import client_python
from tests.support.bentos import Client
from tests.support.platform import running

pytestmark = pytest.mark.timeout(300)

_MODEL = """
import bentoml, os, pathlib
with bentoml.models.create('big') as model:
    with open(model.path_of('weights.bin'), 'wb') as file:
        for _ in range({megabytes}):
            file.write(os.urandom(2**20))
print(model.tag)
"""


def test_a_push_without_room_is_refused_and_succeeds_once_there_is(tmp_path: Path) -> None:
    loopfs.require_loop_devices()
    client = Client(client_python("1.4"), tmp_path / "bentoml")
    tag = client.script(_MODEL.format(megabytes=200)).split()[-1]
    image = loopfs.make(tmp_path / "disk.img", megabytes=700)
    with loopfs.mounted(image, tmp_path / "disk") as disk, running(disk / "home") as platform:
        client.login(platform.url, platform.token)
        ballast = disk / "ballast"
        _fill(ballast, disk, leave=100)

        said = client.fails("models", "push", tag)

        assert "space" in said.lower()
        name, version = tag.split(":")
        path = f"/api/v1/model_repositories/{name}/models/{version}"
        assert platform.request("GET", path)[1]["upload_status"] != "success"
        assert platform.events(type="model.pushed") == []
        assert _free_megabytes(disk) > 90, "what was received is gone"

        ballast.unlink()
        client.run("models", "push", tag)
        assert platform.request("GET", path)[1]["upload_status"] == "success"


def _fill(ballast: Path, disk: Path, *, leave: int) -> None:
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (_free_megabytes(disk) - leave) * 2**20)


def _free_megabytes(disk: Path) -> int:
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize // 2**20
