"""Migrations against a real server."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.chassis.migrate import CHASSIS, MigrationError, Phase, migrate
from tests.support.postgres import PostgresServer, pool_of

PACKAGE = "a_service_for_migrations"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a service's migrations."""
    folder = tmp_path / PACKAGE / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "0001_pre_table.sql").write_text("CREATE TABLE t (n integer);")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [each for each in sys.modules if each.startswith(PACKAGE)]:
        del sys.modules[name]


async def test_every_file_runs_once_and_the_chassis_first(
    postgres_server: PostgresServer, files: Path
) -> None:
    (files / "0002_post_index.sql").write_text("CREATE INDEX t_n_idx ON t (n);")
    async with postgres_server.database() as url:
        pre = await migrate(url, PACKAGE, phase="pre")
        post = await migrate(url, f"{PACKAGE}.migrations", phase="post")
        again = await migrate(url, PACKAGE, phase="post")

    assert pre[0] == "0001_pre_outbox.sql"
    assert pre[-1] == "0001_pre_table.sql"
    assert (post, again) == (["0002_post_index.sql"], [])


async def test_two_at_once_take_turns(postgres_server: PostgresServer, files: Path) -> None:
    assert files.is_dir()
    async with postgres_server.database() as url:
        ran = await asyncio.gather(*(migrate(url, PACKAGE, phase="pre") for _ in range(4)))

    assert sorted(map(len, ran))[:3] == [0, 0, 0]
    assert max(map(len, ran)) > 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("0001_pre_table.sql", "CREATE TABLE t (m integer);", "changed after they ran"),
        ("0001_pre_other.sql", "SELECT 1;", "the number 0001"),
        ("02_pre_short.sql", "SELECT 1;", "not called"),
    ],
    ids=["changed", "same-number", "ill-named"],
)
async def test_files_that_do_not_fit_are_refused(
    postgres_server: PostgresServer, files: Path, name: str, text: str, why: str
) -> None:
    async with postgres_server.database() as url:
        await migrate(url, PACKAGE, phase="pre")
        (files / name).write_text(text)

        with pytest.raises(MigrationError, match=why):
            await migrate(url, PACKAGE, phase="pre")


@pytest.mark.parametrize("phase", ["pre", "post"])
async def test_a_database_that_newer_code_has_used_is_refused(
    postgres_server: PostgresServer, files: Path, phase: Phase
) -> None:
    async with postgres_server.database() as url:
        (files / "0002_pre_newer.sql").write_text("SELECT 1;")
        await migrate(url, PACKAGE, phase="pre")
        (files / "0002_pre_newer.sql").unlink()

        with pytest.raises(MigrationError, match="newer version"):
            await migrate(url, PACKAGE, phase=phase)


async def test_a_file_that_fails_leaves_nothing_behind(
    postgres_server: PostgresServer, files: Path
) -> None:
    (files / "0002_pre_half.sql").write_text("CREATE TABLE u (n integer); SELECT 1 / 0;")
    async with postgres_server.database() as url:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(url, PACKAGE, phase="pre")
        async with pool_of(url) as pool:
            assert await pool.fetchval("SELECT to_regclass('u')") is None
            assert await pool.fetchval("SELECT to_regclass('t')") is not None

        (files / "0002_pre_half.sql").write_text("CREATE TABLE u (n integer);")
        assert await migrate(url, PACKAGE, phase="pre") == ["0002_pre_half.sql"]


async def test_a_table_in_use_is_waited_for_without_making_others_wait(
    postgres_server: PostgresServer, files: Path
) -> None:
    async with postgres_server.database() as url, pool_of(url) as pool:
        await migrate(url, PACKAGE, phase="pre")
        (files / "0002_pre_column.sql").write_text("ALTER TABLE t ADD COLUMN m integer;")
        async with pool.acquire() as reader, reader.transaction():
            await reader.execute("SELECT * FROM t")
            migrating = asyncio.create_task(migrate(url, PACKAGE, phase="pre"))
            await asyncio.sleep(2.5)
            await pool.fetch("SELECT * FROM t", timeout=2)

        assert await migrating == ["0002_pre_column.sql"]


async def test_the_chassis_alone_can_be_migrated(postgres_server: PostgresServer) -> None:
    async with postgres_server.database() as url:
        first = await migrate(url, CHASSIS, phase="pre")
        again = await migrate(url, CHASSIS, phase="post")

    assert first
    assert again == []
