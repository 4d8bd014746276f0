"""A bento that is built in a second: a stand-in takes BentoML's place, served by the test."""

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from tests.support.driver import BentoFiles
from tests.support.packages import offered

_SERVER: Final = Path(__file__).parents[1] / "data/deployer/server.py"
_VERSION: Final = "1.4.0"
_INFO: Final = f"bentoml-{_VERSION}.dist-info"
_METADATA: Final = f"Metadata-Version: 2.1\nName: bentoml\nVersion: {_VERSION}\n"
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def tiny_bento(folder: Path, name: str) -> BentoFiles:
    """Its one service answers every GET. Nothing is downloaded for it."""
    bento = folder / name
    (bento / "env" / "python").mkdir(parents=True)
    (bento / "env" / "python" / "requirements.txt").write_text(f"{stand_in()}\n")
    described = {
        "service": f"service:{name}",
        "name": name,
        "bentoml_version": _VERSION,
        "entry_service": name,
        "services": [{"name": name, "dependencies": [], "config": {}}],
        "schema": {},
    }
    (bento / "bento.yaml").write_text(yaml.safe_dump(described))
    return BentoFiles(bento)


def tiny_container(folder: Path, name: str, *, first: str = "") -> BentoFiles:
    """The same for images: with an entrypoint, which begins with this command."""
    files = tiny_bento(folder, name)
    script = files.folder / "env" / "docker" / "entrypoint.sh"
    script.parent.mkdir()
    script.write_text(f'#!/bin/bash\n{first}\nexec python -m bentoml start-http-server "$@"\n')
    return files


@cache
def stand_in() -> str:
    """A requirement that needs no index, as long as the test runs."""
    name = f"bentoml-{_VERSION}-py3-none-any.whl"
    return f"bentoml @ {offered(name, stand_in_wheel())}"


def stand_in_wheel() -> bytes:
    files = {
        "bentoml/__init__.py": "",
        "bentoml/__main__.py": _SERVER.read_text(),
        f"{_INFO}/METADATA": _METADATA,
        f"{_INFO}/WHEEL": _WHEEL,
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{_INFO}/RECORD"])
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as packed:
        for name, text in {**files, f"{_INFO}/RECORD": record}.items():
            packed.writestr(name, text)
    return whole.getvalue()
