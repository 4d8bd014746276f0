"""What is measured against: a platform in a temporary home, and the real client beside it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from cli.demo.client import BentoClient, install
from cli.demo.steps import Steps
from tests.support.platform import LocalPlatform, running


class RunError(Exception):
    """A command that a measurement needs has failed; the message is all that it said."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the temporary files; big things are written and fsynced there."""
    folder = Path(tempfile.mkdtemp(prefix="yokocho-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def platform(folder: Path) -> Iterator[LocalPlatform]:
    with running(folder / "home") as started:
        yield started


def client(folder: Path) -> BentoClient:
    """The BentoML client, installed once for all benches and demos of this user."""
    logs = folder / "client-logs"
    logs.mkdir(exist_ok=True)
    return install(Steps(Console(stderr=True), logs), folder / "bentoml")


def run(client: BentoClient, *words: str, home: Path | None = None, cwd: Path | None = None) -> str:
    """``bentoml WORDS`` (or ``python WORDS``, where the first one is a script)."""
    tool = str(client.python) if words[0].endswith(".py") or words[0] == "-c" else client.bentoml
    env = client.environment() | ({"BENTOML_HOME": str(home)} if home is not None else {})
    done = subprocess.run(  # our own argv, no shell
        [tool, *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise RunError(f"{tool} {' '.join(words)}:\n{done.stdout}")
    return done.stdout


def login(client: BentoClient, url: str, token: str, *, home: Path | None = None) -> None:
    run(client, "cloud", "login", "--endpoint", url, "--api-token", token, home=home)


def settle() -> None:
    """Everything written so far is on the disk: no figure pays for an earlier one's writes."""
    os.sync()
