"""The real BentoML client in an environment of its own, far from the platform's."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.demo.steps import Steps

REQUIREMENTS: Final = Path(__file__).with_name("client.txt")
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PREFIXES: Final = ("UV_", "PIP_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy")


@dataclass(frozen=True, slots=True)
class BentoClient:
    """``bentoml`` with its own home: it can neither see nor change the user's bentos."""

    python: Path
    home: Path

    @property
    def bentoml(self) -> str:
        return str(self.python.with_name("bentoml"))

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or name.startswith(_PREFIXES)
        }
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return kept | {
            "PATH": path,
            "BENTOML_HOME": str(self.home),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONUNBUFFERED": "1",
        }


def cache_folder() -> Path:
    """Where environments that several demos share are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "yokocho"


def install(steps: Steps, home: Path, *, requirements: Path = REQUIREMENTS) -> BentoClient:
    """The client's environment, made once per lock and interpreter and then found again.

    The marker is written last: an interrupted installation is done over.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv") or "uv"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_folder() / "clients" / key
    python = folder / "bin" / "python"
    marker = folder / ".complete"
    with _alone(folder):
        if not marker.exists():
            env = dict(os.environ)
            venv = [uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)]
            steps.run("client", venv, env=env)
            install = [uv, "pip", "install", "--require-hashes", "--python", str(python)]
            steps.run("client", [*install, "-r", str(requirements)], env=env)
            compiled = [str(python), "-m", "compileall", "-q", "-j", "0", str(folder / "lib")]
            steps.start("compile", compiled, env=env).process.wait()
            marker.touch()
    return BentoClient(python=python, home=home)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two demos that want the same environment make it once; the second waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
