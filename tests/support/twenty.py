"""Bentos of the kinds that people have, each with a question and the answer to it.

Their sources are in ``tests/data/bentos``; what cannot be a file there is written by the test.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any, Final

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
    soak: bool = True
    seconds: float = 300


SAUCE: Final = "soy, mirin, sugar"
_QUOTED: Final = "a 'b' \"c\" $HOME = `d`"
_NUMBERS: Final = {"numbers": [1.0, 21.0]}
_SIDES: Final = {"numbers": [3.0, 396.0]}
_ODD: Final = {
    "odd/" + "n" * 200: "long name",
    "odd/" + "/".join(["d" * 50] * 4) + "/deep": "long path",
    "odd/\u706b \U0001f35c \u00fc'\"$": "unicode",
    "odd/.hidden": "hidden",
    "odd/link": "unicode",
}

CASES: Final = (
    Case("sklearn", _NUMBERS, [2.0, 42.0], soak=False),
    Case("two", {"number": 41.0}, {"sum": 42.0, "elsewhere": True}, soak=False),
    Case("streaming", {"to": 4}, "0, 1, 2, 3, ", soak=False),
    Case("files", {}, _ODD, soak=False),
    Case("service12", {"text": "abc"}, "cba", client="1.2"),
    Case("sklearn13", _NUMBERS, [2.0, 42.0], client="1.3"),
    Case("runner10", _NUMBERS, [2.0, 42.0], client="1.0"),
    Case("runner11", _NUMBERS, [2.0, 42.0], client="1.1"),
    Case("xgboost", {"numbers": [3.0, 96.0]}, [0, 1]),
    Case("onnx", {"a": [1.0], "b": [41.0]}, [42.0]),
    Case("tensorflow", {"numbers": [1.0, 2.0]}, 8.0),
    Case("torch", {"numbers": [1.0, 2.0]}, 8.0, seconds=1500),
    Case("envs", {}, {"EVER": "1", "BUILDING": None, "RUNNING": None, "QUOTED": _QUOTED}),
)

BY_COMMANDS: Final = (
    Case("lightgbm", _SIDES, [0, 1]),
    Case("system", {"text": "abc"}, "cba"),
    Case("setup", {}, "set up"),
    Case("command", {}, "1.0 million"),
    Case("sdist", {"words": ["ramen"]}, "ramen"),
    Case("wheel", {}, SAUCE),
)


def case_of(name: str) -> Case:
    return next(each for each in (*CASES, *BY_COMMANDS) if each.name == name)


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

    def ask(self, case: Case, strategy: str) -> dict[str, Any]:
        """The build, whose image answers as it should."""
        build = self.imager.built(self.pushed(case), seconds=case.seconds)
        assert build["strategy"] == strategy, build["why"]
        self.check(case, build)
        return build

    def check(self, case: Case, build: dict[str, Any]) -> None:
        with self.imager.rootfs(build).serving() as running:
            assert running.answers(case.route, case.body) == case.answer

    def pushed(self, case: Case) -> str:
        """The tag of the bento, with the models it has, built and pushed by its client."""
        return self.packed(self.client(case.client), self.source(case.name))

    def source(self, name: str) -> Path:
        """A copy of it, complete."""
        folder = self.folder / "sources" / name
        if not folder.exists():
            copytree(SOURCES / name, folder)
            if name in _WRITTEN:
                _WRITTEN[name](folder)
        return folder

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


def sauce(folder: Path) -> Path:
    """The wheel of a package that no index has."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "house_sauce-1.0-py3-none-any.whl"
    info = "house_sauce-1.0.dist-info"
    files = {
        "house_sauce.py": f"RECIPE = {SAUCE!r}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: house-sauce\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            packed.writestr(name, text)
    return wheel


def _odd(folder: Path) -> None:
    """Names that a file system has, and a tar or a shell may trip over."""
    for name, text in _ODD.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "odd/link":
            file.symlink_to(next(each for each in _ODD if "\u706b" in each).partition("/")[2])
        else:
            file.write_text(text)


def _wheel(folder: Path) -> None:
    sauce(folder / "wheels")


def _runner(folder: Path) -> None:
    """The service of 1.0 is one of 1.1, too."""
    for each in ("service.py", "train.py"):
        copyfile(SOURCES / "runner10" / each, folder / each)


_WRITTEN: Final = {"files": _odd, "wheel": _wheel, "runner11": _runner}
