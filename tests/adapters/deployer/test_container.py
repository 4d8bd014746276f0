"""The local target runs an unpacked container image, which is all of a machine that it sees."""

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from libs.chassis.isolation import NAMESPACE, NONE, Isolation, choose
from libs.chassis.isolation.sight import sight_of_root
from libs.chassis.isolation.ways import Bubblewrap, Ids
from libs.chassis.process import Command, leftovers, stop_leftovers
from services.builder.layers import unpack_layers
from services.deployer.plan import Phase
from services.deployer.targets.probes import open_probes
from tests.adapters.deployer.conftest import MARKER, SERVER, Lane, lane_in
from tests.support.loops import running

pytestmark = pytest.mark.long

INTRUDER: Final = SERVER.with_name("intruder.py")
BENTO: Final = "home/bentoml/bento"
ENTRYPOINT: Final = f"/{BENTO}/env/docker/entrypoint.sh"
SCRIPT: Final = (
    '#!/bin/bash\nexec python3 "$BENTO_PATH/server.py" "$BENTOML_SERVE_COMPONENT" "$@"\n'
)


def image_of(layout: Path, folder: Path, program: Path, **said: Any) -> Path:
    """The base image, unpacked as the builder does it, with a bento in it."""
    blobs = layout / "blobs"
    index = json.loads((layout / "index.json").read_bytes())
    manifest = _document(blobs, index["manifests"][0]["digest"])
    config = _document(blobs, manifest["config"]["digest"])
    layers = [
        (_blob(blobs, each["digest"]), each["mediaType"], diff_id)
        for each, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
    ]
    root = folder / "rootfs"
    unpack_layers(layers, root)
    script = root / ENTRYPOINT.lstrip("/")
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    script.chmod(0o755)
    shutil.copy(program, root / BENTO / "server.py")
    env = [*config["config"]["Env"], f"BENTO_PATH=/{BENTO}", "VIRTUAL_ENV=/usr", "OF=the image"]
    own = {"User": "bentoml", "Entrypoint": [ENTRYPOINT], "WorkingDir": f"/{BENTO}", "Env": env}
    (folder / "config.json").write_text(json.dumps({"config": {**own, **said}}))
    return folder


def _blob(blobs: Path, digest: str) -> Path:
    return blobs / digest.replace(":", "/")


def _document(blobs: Path, digest: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(_blob(blobs, digest).read_bytes())
    return found


@asynccontextmanager
async def lane_of(home: Path, image: Path, isolation: Isolation) -> AsyncIterator[Lane]:
    async with open_probes() as probes:
        made = lane_in(home / "deployer", image, probes, isolation=isolation)
        async with running(made.target.run):
            yield made
        await stop_leftovers(leftovers(f"{MARKER}-{home.name}"), grace=timedelta(0))


def own_root(home: Path) -> Isolation:
    return choose(NAMESPACE, [home], any_root=True)


async def ask(url: str) -> str:
    def get() -> str:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


async def test_it_runs_as_the_image_says(base_layout: Path, tmp_path: Path) -> None:
    image = image_of(base_layout, tmp_path / "image", SERVER)
    async with lane_of(tmp_path, image, own_root(tmp_path)) as lane:
        replica = lane.replica("Gate")
        lane.start(replica, files=(("given", "x"),), OWN="words")
        await lane.ready(replica)
        env: dict[str, str] = ast.literal_eval(await ask(replica.url))

    assert (env["OF"], env["OWN"], env["USER"]) == ("the image", "words", "bentoml")
    assert (env["PORT"], env["BENTOML_SERVE_SERVICE_NAME"]) == (str(replica.port), "Gate")
    assert env["BENTOML_HOME"] == env["HOME"] == "/run/home"
    assert env["PWD"] == f"/{BENTO}"
    assert (lane.folders.work(replica) / "given").read_text() == "x"


async def test_the_image_is_all_that_it_sees(base_layout: Path, tmp_path: Path) -> None:
    image = image_of(base_layout, tmp_path / "image", INTRUDER)
    keys = tmp_path / "keys" / "sealing"
    keys.parent.mkdir()
    keys.write_text("precious")
    of_the_machine = next(
        each
        for each in sorted(Path("/etc").rglob("*"))
        if each.is_file() and not (image / "rootfs" / each.relative_to("/")).exists()
    )
    variable = {"VICTIM": "precious"}
    victim = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "victim"], env=variable
    )
    targets = {
        "keys": str(keys),
        "database": str(keys),
        "image": str(of_the_machine),
        "socket": str(tmp_path / "none"),
        "program": "\0victim",
        "variable": "VICTIM=",
        "victim": victim.pid,
    }
    try:
        async with lane_of(tmp_path, image, own_root(tmp_path)) as lane:
            replica = lane.replica()
            lane.start(replica, TARGETS=json.dumps(targets))
            await lane.ready(replica)
            answer = json.loads(await ask(f"{replica.url}/try"))
    finally:
        victim.kill()
        victim.wait()

    assert answer == {"tried": 21, "succeeded": ["lists hidden folders"]}  # of the image


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"Entrypoint": None}, "neither Entrypoint nor Cmd"),
        ({"Entrypoint": ["/none"]}, "/none"),
        ({"Entrypoint": ["/none"], "WorkingDir": "/nowhere"}, "/nowhere"),
    ],
)
async def test_what_cannot_run_says_why(
    tmp_path: Path, said: Mapping[str, Any], words: str
) -> None:
    (tmp_path / "image" / "rootfs" / "etc").mkdir(parents=True)
    (tmp_path / "image" / "config.json").write_text(json.dumps({"config": said}))
    async with lane_of(tmp_path, tmp_path / "image", own_root(tmp_path)) as lane:
        replica = lane.replica()
        lane.start(replica)
        await lane.until(replica, lambda seen: seen.phase is Phase.DOWN and seen.failures > 0)

        assert words in lane.target.last_words(replica)


async def test_without_isolation_it_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "image" / "rootfs").mkdir(parents=True)
    (tmp_path / "image" / "config.json").write_text('{"config": {"Cmd": ["sh"]}}')
    async with lane_of(tmp_path, tmp_path / "image", choose(NONE, [])) as lane:
        replica = lane.replica()
        lane.start(replica)

        assert "nothing has a root of its own" in lane.target.last_words(replica)


@pytest.mark.skipif(os.geteuid() != 0, reason="others change no identity")
def test_root_ends_with_no_program_of_the_image(tmp_path: Path) -> None:
    """It would run as root, with the right to stay it."""
    command = Command(("/bin/sh",), {}, tmp_path)

    assert own_root(tmp_path).by == "unshare"
    with (
        pytest.raises(PermissionError, match="as root"),
        Isolation(Bubblewrap("bwrap", Ids(65534, 65534)), ids=Ids(65534, 65534)).within(
            command, tmp_path, start_in=Path("/")
        ),
    ):
        pass


def test_links_of_an_image_are_shown_as_links(tmp_path: Path) -> None:
    """Whoever shows it, follows none."""
    root = tmp_path / "rootfs"
    (root / "usr").mkdir(parents=True)
    for name in ("etc", "run", "tmp", "dev"):
        (root / name).symlink_to(tmp_path)

    shown = sight_of_root(tmp_path, root, start_in=Path("/"))

    assert shown.links == ((Path("/etc"), str(tmp_path)),)
    assert shown.rest == ((root / "usr", Path("/usr")),)
