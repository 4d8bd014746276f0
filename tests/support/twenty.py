"""Bentos of the kinds that people have, each with a question and the answer to it.

Their sources are in ``tests/data/bentos``; what cannot be a file there is written by the test.
"""

from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Final

from tests.support.bentoml_client import client_python
from tests.support.bentos import Client
from tests.support.imager import Imager

SOURCES: Final = Path(__file__).parents[1] / "data" / "bentos"


@dataclass(frozen=True, slots=True)
class Case:
    """``name`` is the folder of its source; ``client`` the line of BentoML that packs it."""

    name: str
    body: object
    answer: object
    client: str = "1.4"
    route: str = "predict"
    strategy: str = "assemble"
    soak: bool = True
    seconds: float = 300


CASES: Final = (
    Case("sklearn", {"numbers": [1.0, 21.0]}, [2.0, 42.0], soak=False),
    Case("two", {"number": 41.0}, {"sum": 42.0, "elsewhere": True}, soak=False),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """Clients of every line, each with one home below ``folder``."""

    imager: Imager
    folder: Path

    def client(self, line: str) -> Client:
        """Logged in."""
        client = Client(client_python(line), self.folder / line)
        if not client.home.exists():
            client.home.mkdir()
            client.login(self.imager.platform.url, self.imager.platform.token)
        return client

    def pushed(self, case: Case) -> str:
        """The tag of the bento, with the models it has, built and pushed by its client."""
        client = self.client(case.client)
        folder = copytree(SOURCES / case.name, self.folder / "sources" / case.name)
        return self.packed(client, folder)

    def packed(self, client: Client, folder: Path) -> str:
        if (train := folder / "train.py").exists():
            client.script(train.read_text())
        before = set(client.home.glob("bentos/*/*/bento.yaml"))
        said = client.run("build", ".", cwd=folder)
        [made] = set(client.home.glob("bentos/*/*/bento.yaml")) - before or [None]
        assert made is not None, said
        tag = f"{made.parts[-3]}:{made.parts[-2]}"
        client.run("push", tag)
        return tag
