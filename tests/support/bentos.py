"""Bentos for tests, built by the real client into a BentoML home of the test's own."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Final

_TAG: Final = re.compile(r"__tag__:(\S+)")

ECHO: Final = dedent(
    """
    import asyncio
    import os

    import bentoml


    @bentoml.service(name="echo", workers=1)
    class Echo:
        @bentoml.api
        async def say(self, text: str, wait: float = 0.0) -> str:
            await asyncio.sleep(wait)
            return f"{os.environ.get('PREFIX', 'VERSION')}: {text}"
    """
)
"""Answers with its version, so that a test can see which revision spoke."""

CRASHES_AT_IMPORT: Final = dedent(
    """
    import bentoml

    raise RuntimeError("the weights are not where they should be")
    """
)


@dataclass(frozen=True, slots=True)
class Client:
    """One ``bentoml`` of one version with one home, logged in nowhere yet."""

    python: Path
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str, cwd: Path | None = None, check: bool = True) -> str:
        """Everything the command printed. With ``check`` a failure is an ``AssertionError``."""
        return self._run([str(self.python.with_name("bentoml")), *words], cwd=cwd, check=check)[1]

    def fails(self, *words: str, cwd: Path | None = None) -> str:
        """What the command said when it failed; it is an error if it does not."""
        status, said = self._run(
            [str(self.python.with_name("bentoml")), *words], cwd=cwd, check=False
        )
        assert status != 0, f"bentoml {' '.join(words)} should have failed:\n{said}"
        return said

    def script(self, source: str) -> str:
        """Run Python with the SDK of this client."""
        return self._run([str(self.python), "-c", source], cwd=None, check=True)[1]

    def login(self, url: str, token: str) -> None:
        self.run("cloud", "login", "--endpoint", url, "--api-token", token)

    def build(self, folder: Path) -> str:
        """The tag of a bento built from ``folder``."""
        match = _TAG.search(self.run("build", "--output", "tag", ".", cwd=folder))
        assert match is not None
        return match[1]

    def _run(self, argv: list[str], *, cwd: Path | None, check: bool) -> tuple[int, str]:
        done = subprocess.run(  # our own argv, no shell
            argv,
            cwd=cwd,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{argv[1:]}:\n{done.stdout}"
        return done.returncode, done.stdout

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BENTO")}
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return kept | {
            "PATH": path,
            "BENTOML_HOME": str(self.home),
            "BENTOML_DO_NOT_TRACK": "True",
            **self.env,
        }


def source(folder: Path, code: str, *, version: str = "v1", bentofile: str = "") -> Path:
    """Write a service into ``folder``; ``VERSION`` in the code becomes ``version``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(code.replace("VERSION", version))
    if bentofile:
        (folder / "bentofile.yaml").write_text(dedent(bentofile))
    return folder
