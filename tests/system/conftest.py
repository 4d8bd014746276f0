"""One platform and one real client for the whole directory; each test uses names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.imager import Imager
from tests.support.platform import LocalPlatform, running
from tests.support.twenty import Bench


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with running(tmp_path_factory.mktemp("platform") / "home") as platform:
        yield platform


@pytest.fixture(scope="session")
def client(platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The 1.4 client, logged in."""
    client = Client(client_python("1.4"), tmp_path_factory.mktemp("bentoml-1.4"))
    client.login(platform.url, platform.token)
    return client


@pytest.fixture(scope="session")
def echo(client: Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Tags of two versions of one bento that differ in what they answer."""
    folder = tmp_path_factory.mktemp("echo")
    first = client.build(source(folder, ECHO, version="v1"))
    second = client.build(source(folder, ECHO, version="v2"))
    return first, second


@pytest.fixture
def empty_home(client: Client, tmp_path: Path, platform: LocalPlatform) -> Client:
    """The same client with nothing local: whatever it has, it pulled."""
    other = Client(client.python, tmp_path / "bentoml")
    other.home.mkdir()
    other.login(platform.url, platform.token)
    return other


@pytest.fixture(scope="session")
def pushed(client: Client, echo: tuple[str, str]) -> str:
    """Tag of a bento that the registry has."""
    client.run("push", echo[0])
    return echo[0]


@pytest.fixture(scope="module")
def bench(platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Of images that this platform builds."""
    imager = Imager(platform, tmp_path_factory.mktemp("images"))
    imager.bring_debian()
    return Bench(imager, tmp_path_factory.mktemp("clients"))
