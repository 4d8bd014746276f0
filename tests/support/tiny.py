"""A bento that is built in a second: a stand-in takes BentoML's place, from a wheel beside it."""

import zipfile
from pathlib import Path
from typing import Final

import yaml

from tests.support.driver import BentoFiles

_SERVER: Final = Path(__file__).parents[1] / "data/deployer/server.py"
_VERSION: Final = "1.4.0"
_INFO: Final = f"bentoml-{_VERSION}.dist-info"
_METADATA: Final = f"Metadata-Version: 2.1\nName: bentoml\nVersion: {_VERSION}\n"
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def tiny_bento(folder: Path, name: str) -> BentoFiles:
    """Its one service answers every GET. Nothing is downloaded for it."""
    wheel = folder / f"bentoml-{_VERSION}-py3-none-any.whl"
    bento = folder / name
    (bento / "env" / "python").mkdir(parents=True)
    pack_wheel(wheel)
    requirement = f"bentoml @ {wheel.as_uri()}\n"
    (bento / "env" / "python" / "requirements.txt").write_text(requirement)
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


def pack_wheel(wheel: Path) -> None:
    """The stand-in, as a file to install."""
    files = {
        "bentoml/__init__.py": "",
        "bentoml/__main__.py": _SERVER.read_text(),
        f"{_INFO}/METADATA": _METADATA,
        f"{_INFO}/WHEEL": _WHEEL,
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{_INFO}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, text in {**files, f"{_INFO}/RECORD": record}.items():
            packed.writestr(name, text)
