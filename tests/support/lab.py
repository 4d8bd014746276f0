"""A real Kubernetes node, where a lab of one stands beside the checkout or ``LAB`` names it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

MACHINE: Final = "10.246.0.1"
"""This machine, as the node sees it."""
NODE: Final = "10.246.0.2"
_CABLE: Final = Path("/sys/class/net/yklab0")
_BESIDE: Final = Path(__file__).parents[3] / "shared" / "lab"


@dataclass(frozen=True, slots=True)
class Lab:
    """A node that is up."""

    kubectl: str
    kubeconfig: str

    def run(self, *words: str, said: str | None = None, seconds: float = 120) -> str:
        """What kubectl printed."""
        done = subprocess.run(
            (self.kubectl, "--kubeconfig", self.kubeconfig, *words),
            input=said,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "-f", "-", said=json.dumps(listed))


@contextmanager
def node(*, registry: str) -> Iterator[Lab]:
    """Up, then down; it pulls from ``registry`` by plain HTTP. Else the test is skipped."""
    scripts = Path(os.environ.get("LAB", _BESIDE))
    if not (scripts / "up").exists():
        pytest.skip("no lab of Kubernetes stands here")
    if os.geteuid() != 0 or shutil.which("nsenter") is None:
        pytest.skip("a node of its own needs root")
    if _CABLE.exists():
        pytest.skip("somebody's node is up on this machine already")
    env = {**os.environ, "K8SLAB_REGISTRIES": registry}
    assets = _said(str(scripts / "unpack"), env=env)
    try:
        kubeconfig = _said(str(scripts / "up"), "node", env=env).splitlines()[-1]
        yield Lab(f"{assets}/kubectl", kubeconfig)
    finally:
        _said(str(scripts / "down"), "purge", env=env)


def _said(*argv: str, env: dict[str, str]) -> str:
    """Of a script that leaves others running: they are not waited for, so it writes to a file."""
    done = subprocess.run(
        ("bash", "-c", '"$@" >"$OUT" 2>&1 </dev/null; code=$?; exit $code', "lab", *argv),
        env={**env, "OUT": (out := f"{os.environ.get('TMPDIR', '/tmp')}/lab-{os.getpid()}.log")},
        timeout=240,
        check=False,
    )
    text = Path(out).read_text()
    Path(out).unlink()
    assert done.returncode == 0, text
    return text.strip()
