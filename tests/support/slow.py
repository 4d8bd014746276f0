"""A package that takes its time to be built, and leaves processes behind where it is let."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from libs.chassis.process import identify
from tests.support.packages import offered, packed

_BACKEND: Final = """
import os, pathlib, subprocess, sys, time
PIDS = pathlib.Path({pids!r})
def build_wheel(folder, config_settings=None, metadata_directory=None):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    PIDS.with_suffix(".new").write_text(f"{{os.getpid()}} {{child.pid}}")
    PIDS.with_suffix(".new").rename(PIDS)
    time.sleep(120)
"""
_METADATA: Final = "Metadata-Version: 2.2\nName: slow\nVersion: 1.0\n"
_PROJECT: Final = (
    "[project]\nname = 'slow'\nversion = '1.0'\n"
    "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
)


@dataclass(frozen=True, slots=True)
class Slow:
    requirement: str
    told: Path

    def runs(self) -> bool:
        return self.told.exists()

    def gone(self) -> bool:
        """Whether nothing that its build started is there any more."""
        pids = self.told.read_text().split() if self.runs() else []
        return not any(identify(int(pid)) for pid in pids)


def slow_source(folder: Path) -> Slow:
    """It needs no index, and says its processes where only what is not isolated may write."""
    told = folder / "slow.pids"
    files = {
        "backend.py": _BACKEND.format(pids=str(told)),
        "PKG-INFO": _METADATA,
        "pyproject.toml": _PROJECT,
    }
    address = offered("slow-1.0.tar.gz", packed("slow-1.0", files))
    return Slow(f"slow @ {address}", told)
