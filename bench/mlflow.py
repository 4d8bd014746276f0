"""The registry beside MLflow's: the same questions about the same versions in one PostgreSQL.

Either is asked over one connection that stays open, and both must find the same.
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle, islice
from typing import Any, Final
from urllib.parse import urlencode

from bench import machine, registry_of_mlflow, search
from bench.report import Row, median, percentile
from cli.home import Home

_ROUNDS: Final = 34
_OURS_A_ROUND: Final = 3
"""To one of MLflow's, which is slow."""
_WARM_ROUNDS: Final = 10
"""Before the clock starts: no worker of either side pays for its first connection."""
_SECONDS: Final = 60
_PAGE: Final = 50
_TWENTY_TIMES: Final = 0.05
_THEIRS: Final = "/api/2.0/mlflow/"
_MODELS: Final = [f"repo{number + 1}" for number in range(search.REPOSITORIES)]


@dataclass(frozen=True, slots=True)
class Question:
    """Paths in the words of either, taken in turn; ``found`` of both answers must be equal."""

    what: str
    ours: Sequence[str]
    theirs: Sequence[str]
    found: Callable[[Any], object]
    target: float | None = None


def _versions(answer: Any) -> object:
    items = answer.get("items") or answer.get("model_versions", [])
    return {(each["name"], str(each["version"]).removeprefix("v")) for each in items}


def _version(answer: Any) -> object:
    told = answer.get("model_version", answer)
    return str(told["version"]).removeprefix("v")


def _count(answer: Any) -> object:
    return len(answer.get("items") or answer.get("registered_models", []))


def _search(what: str, ours: str, theirs: str, *, target: float | None = None) -> Question:
    """The newest page of what fits; both have that order."""
    return Question(
        what,
        ["/api/registry/models?" + urlencode({"query": ours, "count": _PAGE})],
        [_THEIRS + "model-versions/search?" + urlencode({"filter": theirs, "max_results": _PAGE})],
        _versions,
        target,
    )


_QUESTIONS: Final = (
    _search("newest page", "", ""),
    _search("search: name", "name = repo5", "name = 'repo5'"),
    _search(
        "search: word", "framework = sklearn", "tags.framework = 'sklearn'", target=_TWENTY_TIMES
    ),
    _search(
        "search: word and label",
        "framework = sklearn and label.stage = prod",
        "tags.framework = 'sklearn' and tags.stage = 'prod'",
        target=_TWENTY_TIMES,
    ),
    _search(  # MLflow compares tags as texts only
        "search: number",
        "accuracy >= 0.999",
        "tags.accuracy LIKE '0.999%'",
        target=_TWENTY_TIMES,
    ),
    _search(
        "search: name, word and label",
        "name = repo5 and framework = sklearn and label.stage = prod",
        "name = 'repo5' and tags.framework = 'sklearn' and tags.stage = 'prod'",
        target=_TWENTY_TIMES,
    ),
    Question(
        "resolve alias",
        [f"/api/registry/models/{name}/aliases/production" for name in _MODELS],
        [f"{_THEIRS}registered-models/alias?name={name}&alias=production" for name in _MODELS],
        _version,
    ),
    Question(
        "page of models",
        [f"/api/v1/model_repositories?count={_PAGE}"],
        [f"{_THEIRS}registered-models/search?max_results={_PAGE}"],
        _count,
    ),
)
_FIGURES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "p50": median,
    "p99": lambda values: percentile(values, 0.99),
}


@dataclass(frozen=True, slots=True)
class _Server:
    """Acknowledges at once what is received.

    MLflow's workers send head and body apart with Nagle's algorithm on: otherwise each answer on
    an open connection waits 40 ms for the acknowledgement, which would count as a search here.
    """

    connection: HTTPConnection
    headers: Mapping[str, str]

    def get(self, path: str) -> Any:
        self.connection.request("GET", path, headers=dict(self.headers))
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise machine.RunError(f"{path}: {answer.status} {body.decode(errors='replace')}")
        return json.loads(body)

    def times(self, paths: Iterator[str], count: int) -> list[float]:
        """Milliseconds of each of the next ``count``."""
        waits = []
        for path in islice(paths, count):
            begun = time.monotonic()
            self.get(path)
            waits.append((time.monotonic() - begun) * 1000)
        return waits


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        asyncio.run(search.fill(platform))
        dsn = asyncio.run(registry_of_mlflow.create_database(Home(platform.home)))
        with registry_of_mlflow.running(folder / "mlflow", dsn) as port:
            asyncio.run(registry_of_mlflow.copy(search.registry_dsn(platform), dsn))
            with (
                closing(HTTPConnection("127.0.0.1", platform.port, timeout=_SECONDS)) as here,
                closing(HTTPConnection("127.0.0.1", port, timeout=_SECONDS)) as there,
            ):
                ours = _Server(here, {"X-YATAI-API-TOKEN": platform.token})
                theirs = _Server(there, {})
                return [row for each in _QUESTIONS for row in _rows(each, ours, theirs)]


def _rows(question: Question, ours: _Server, theirs: _Server) -> list[Row]:
    _compare(question, ours, theirs)
    our_paths, their_paths = cycle(question.ours), cycle(question.theirs)
    ours.times(our_paths, _WARM_ROUNDS)
    theirs.times(their_paths, _WARM_ROUNDS)
    own: list[float] = []
    other: list[float] = []
    for _ in range(_ROUNDS):  # by turns: what else the machine does falls on both
        own += ours.times(our_paths, _OURS_A_ROUND)
        other += theirs.times(their_paths, 1)
    return [
        Row(
            f"{question.what}, {name}",
            figure(own),
            "ms",
            limit=figure(other),
            limit_is=f"MLflow, n = {len(other)}",
            target=question.target,
            samples=len(own),
        )
        for name, figure in _FIGURES.items()
    ]


def _compare(question: Question, ours: _Server, theirs: _Server) -> None:
    """A server that finds something else is not faster."""
    here, there = question.ours[0], question.theirs[0]
    found, expected = question.found(ours.get(here)), question.found(theirs.get(there))
    if not found or found != expected:
        raise machine.RunError(f"{here} finds {found}\n{there} finds {expected}")
