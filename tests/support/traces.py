"""Whether something that should be nowhere is somewhere, as it was or as tools write it."""

import base64
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from libs.chassis.postgres import Pool


def forms(value: str) -> list[bytes]:
    raw = value.encode()
    shifted = [base64.b64encode(bytes(each) + raw)[4:-4] for each in range(3)]
    written = {quote(value, safe=""), quote(value), value[::-1], raw.hex()}
    return [raw, *shifted, *(each.encode() for each in written)]


def traces(value: str, content: bytes) -> list[bytes]:
    return [form for form in forms(value) if form in content]


def files_with(value: str, *folders: Path) -> list[str]:
    """Below the folders, whatever they are called."""
    every = (path for folder in folders for path in folder.rglob("*"))
    return [str(path) for path in every if path.is_file() and traces(value, _content(path))]


async def dumped(pool: Pool) -> bytes:
    """Every row of every table."""
    tables = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    rows: list[str] = []
    for table in tables:
        every = f"SELECT to_jsonb(each)::text AS row FROM {table['name']} AS each"  # noqa: S608 - from the catalogue
        rows += [row["row"] for row in await pool.fetch(every)]
    return "\n".join(rows).encode()


def joined(pieces: Iterable[bytes]) -> bytes:
    return b"\n".join(pieces)


def _content(path: Path) -> bytes:
    return str(path).encode() + b"\n" + path.read_bytes()
