"""One bento, built by many builders that have nothing in common: always the same image."""

import asyncio
import itertools
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.builder import Yard
from tests.support.interpreters import BYTECODE, ROOT, interpreters
from tests.support.little_image import little_image
from tests.support.postgres import PostgresServer

REFERENCE: Final = "python:3.11-slim"
PACKAGES: Final = ("greenlet==3.1.1", "tqdm==4.67.1", "uvicorn==0.34.0", "pyyaml==6.0.2")
"""With headers, a manual page, scripts, compiled parts."""
MORE: Final = (*PACKAGES, "numpy==2.2.6", "bentoml==1.4.39")
FILES: Final = {
    "env/docker/entrypoint.sh": "#!/bin/bash\n",
    "src/\u706b \U0001f35c.txt": "ramen",
    "src/\u00e9t\u00e9": "summer",
    f"src/{'n' * 120}": "long",
    "src/B": "upper",
    "src/a": "lower",
}
ZONES: Final = ("UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns")
LOCALES: Final = ("C", "C.UTF-8", "POSIX", "tr_TR.UTF-8", "de_DE.ISO-8859-1")
MASKS: Final = (0o022, 0o077, 0o000, 0o027)
NAMES: Final = ("plain", "with a space", "\u9ebaries", "deep/" + "/".join(["d" * 40] * 4))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of one builder: all that must not matter."""

    python: Path
    env: dict[str, str]
    folder: Path
    umask: int


def surroundings(top: Path, seed: int) -> Iterator[Surroundings]:
    """Each interpreter in turn; the rest by chance, the same every time."""
    chosen = random.Random(seed)  # noqa: S311 - no secret
    for number, python in enumerate(itertools.cycle(interpreters())):
        folder = top / str(number) / chosen.choice(NAMES)
        env = {
            "TZ": chosen.choice(ZONES),
            "LC_ALL": chosen.choice(LOCALES),
            "PYTHONHASHSEED": str(chosen.randrange(1, 2**32 - 1)),
            "HOME": str(folder / "home"),
        }
        if number % 4 == 1:  # an empty one
            env["UV_CACHE_DIR"] = str(folder / "cache")
        yield Surroundings(python, env, folder, chosen.choice(MASKS))


async def rebuilt(
    yard: Yard, around: Surroundings, server: PostgresServer, *, bento: str, layout: Path
) -> dict[str, Any]:
    """What a builder with a database of its own made of it."""
    around.folder.mkdir(parents=True)
    (around.folder / "home").mkdir()
    async with server.database("builder") as dsn:
        told = {
            "dsn": dsn,
            "keys": str(yard.folder / "keys"),
            "registry": yard.registry_url,
            "root": str(around.folder / "builder"),
            "base": {"reference": REFERENCE, "layout": str(layout)},
            "bento": bento,
            "umask": around.umask,
        }
        dropped = ("LC_", "PYTHON")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        kept["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
        here = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(BYTECODE)}
        process = await asyncio.create_subprocess_exec(
            *(str(around.python), "-m", "tests.support.one_build", json.dumps(told)),
            env={**kept, **here, **around.env},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(90):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert found["status"] == "built", found
    return found


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("times", "packages"),
    [(6, PACKAGES), pytest.param(100, MORE, marks=pytest.mark.soak)],
    ids=["6", "100"],
)
async def test_the_image_is_the_same_wherever_it_is_built(
    yard: Yard,
    postgres_server: PostgresServer,
    tmp_path: Path,
    *,
    times: int,
    packages: tuple[str, ...],
) -> None:
    layout = little_image(tmp_path / "base", architectures=("amd64",))
    bentoml = () if packages is MORE else (yard.wheel,)
    await yard.push("fox:v1", *packages, *bentoml, image={"python_version": "3.11"}, files=FILES)
    seen: dict[str, list[Surroundings]] = {}
    for around in itertools.islice(surroundings(tmp_path / "builders", seed=1), times):
        made = await rebuilt(yard, around, postgres_server, bento="fox:v1", layout=layout)
        seen.setdefault(made["digest"], []).append(around)
        assert len(seen) == 1, seen
