"""Programs of others that handle images, as a person on this machine has them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.platform import LocalPlatform

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True, slots=True)
class Toolbox:
    """``folder`` is the person's home and working folder."""

    platform: LocalPlatform
    folder: Path

    @property
    def registry(self) -> str:
        return urlsplit(self.platform.url).netloc

    @property
    def policy(self) -> Path:
        """Images need no signature."""
        file = self.folder / "policy.json"
        file.write_text(_POLICY)
        return file

    def run(self, *words: str, said: str | None = None, seconds: float = 120) -> str:
        """What it printed; the test is skipped where the program is not on PATH."""
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not on PATH")
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        home = {"HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder / "docker")}
        auth = {"REGISTRY_AUTH_FILE": str(self.folder / "auth.json")}
        done = subprocess.run(
            words,
            env=kept | home | auth,
            cwd=self.folder,
            input=said,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def buildah(self, *words: str, seconds: float = 120) -> str:
        """With a storage of its own, which needs no mounts."""
        places = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        which = ("--storage-driver", "vfs", "--registries-conf", os.devnull)
        return self.run("buildah", *places, *which, *words, seconds=seconds).strip()
