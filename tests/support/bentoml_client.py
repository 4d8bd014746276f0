"""Real BentoML clients in environments of their own: the demo's one, and an older line."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from rich.console import Console

from cli.demo.client import REQUIREMENTS, install
from cli.demo.steps import Steps

_OLDER: Final = ("1.0", "1.1", "1.2", "1.3")
_LOCKS: Final = {
    "1.4": REQUIREMENTS,
    **{each: Path(__file__).parents[1] / f"data/clients/bentoml-{each}.txt" for each in _OLDER},
}


@cache
def client_python(version: str) -> Path:
    """Interpreter of an environment with that line of the client, kept between runs."""
    with tempfile.TemporaryDirectory(prefix="yokocho-client-") as folder:
        logs = Path(folder)
        steps = Steps(Console(quiet=True), logs)
        return install(steps, logs, requirements=_LOCKS[version]).python
