"""A storage that has the base image once for all tests of a worker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.base_image import small_image
from tests.support.buildah import Bench, started


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buildah") / "root"


@pytest.fixture(scope="session")
def small_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_image(tmp_path_factory.mktemp("small"))


@pytest.fixture
async def bench(storage: Path, tmp_path: Path, small_layout: Path) -> AsyncIterator[Bench]:
    async with started(storage) as buildah:
        yield Bench(buildah, tmp_path, small_layout)
