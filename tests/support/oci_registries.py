"""Registries of images that others made, as programs of this machine."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.authorities import Signed
from tests.support.binaries import Program, free_port

PROGRAMS = ("docker-registry", *(["distribution"] if shutil.which("distribution") else []))
"""Debian's, and the newest where somebody has put it."""


@contextmanager
def registry_of(
    program: str,
    folder: Path,
    *,
    auth: dict[str, Any] | None = None,
    tls: Signed | None = None,
) -> Iterator[str]:
    """Its URL. Skips the test where the program is not on PATH."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "of a test"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    config = {
        "version": "0.1",
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": http,
        **({"auth": auth} if auth else {}),
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(config))  # which is YAML
    running = Program([program, "serve", str(file)], folder / "log")
    running.start(lambda: _listens(port))
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        running.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
