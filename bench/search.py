"""Lists and searches among many versions, through the gateway as a person asks.

The versions are written by SQL, since pushing so many would take hours; everything else is real.
"""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final
from urllib.parse import quote
from uuid import UUID

import asyncpg

from bench import machine
from bench.report import Row, median, percentile
from cli.home import Home
from cli.supervisor.layout import Layout
from tests.support.platform import LocalPlatform

REPOSITORIES: Final = 100
_VERSIONS: Final = 1000
"""In each."""
_ROUNDS: Final = 100
_SEARCH: Final = "/api/registry/models?query="
_ASKED: Final = {
    "newest page": _SEARCH,
    "number": _SEARCH + quote("accuracy > 0.999"),
    "number, label and word": _SEARCH
    + quote("accuracy > 0.9 and label.stage = prod and framework = sklearn"),
    "number, sorted": _SEARCH + quote("accuracy > 0.99 sort by accuracy desc"),
    "one by name": _SEARCH + quote("name = repo5 and version = v7"),
    "BentoML's list": "/api/v1/models?count=50",
    "BentoML's list, a word of the name": "/api/v1/models?count=50&search=repo5",
    "BentoML's list, a label": "/api/v1/models?count=50&q=label:stage=prod",
    "BentoML's list of a repository": "/api/v1/model_repositories/repo5/models?count=50",
    "BentoML's list of repositories": "/api/v1/model_repositories?count=50",
}
_ALIASES: Final = [
    f"/api/registry/models/repo{number + 1}/aliases/production" for number in range(REPOSITORIES)
]
_FILL: Final = (
    """
    INSERT INTO repository (id, org_id, kind, name, description, created_at)
    SELECT gen_random_uuid(), $1, 'model', 'repo' || n, '', now() FROM generate_series(1, $2) AS n
    """,
    """
    INSERT INTO version (id, org_id, repository_id, version, description, manifest, labels,
                         build_at, created_at, updated_at, upload_status, described)
    SELECT gen_random_uuid(), $1, r.id, 'v' || n, '',
           json_build_object('metadata', json_build_object('accuracy', random(),
               'framework', CASE WHEN random() < 0.5 THEN 'sklearn' ELSE 'xgboost' END))::text,
           jsonb_build_object('stage', CASE WHEN random() < 0.1 THEN 'prod' ELSE 'dev' END),
           now(), now() - random() * interval '300 days', now(), 'success', true
    FROM repository r, generate_series(1, $2) AS n
    """,
    """
    INSERT INTO fact (version_id, key, number, word)
    SELECT v.id, f.key, CASE f.key WHEN 'accuracy' THEN (f.value #>> '{}')::float8 END,
           CASE f.key WHEN 'framework' THEN f.value #>> '{}' END
    FROM version v, json_each(v.manifest::json -> 'metadata') AS f
    """,
    """
    INSERT INTO alias (id, repository_id, name, version_id, moved_at)
    SELECT gen_random_uuid(), repository_id, 'production', id, now()
    FROM version WHERE version = 'v500'
    """,
)


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        asyncio.run(fill(platform))
        rows = [_row(platform, name, [path], answers="items") for name, path in _ASKED.items()]
        return [*rows, _row(platform, "resolve alias", _ALIASES, answers="version")]


def _row(platform: LocalPlatform, name: str, paths: Sequence[str], *, answers: str) -> Row:
    waits = []
    for path in islice(cycle(paths), _ROUNDS):
        begun = time.monotonic()
        status, answer = platform.request("GET", path)
        waits.append((time.monotonic() - begun) * 1000)
        if status != 200 or not answer[answers]:
            raise machine.RunError(f"{path}: {status} {answer}")
    count = REPOSITORIES * _VERSIONS
    title = f"{name}, p99 of {count:,} versions (p50 {median(waits):.1f} ms)"
    return Row(title, percentile(waits, 0.99), "ms", target=20, samples=_ROUNDS)


async def fill(platform: LocalPlatform) -> None:
    """What a registry holds after years: versions, what they say, an alias in each repository."""
    org = await _organisation(platform)
    connection = await asyncpg.connect(registry_dsn(platform))
    try:
        repositories, versions, facts, aliases = _FILL
        await connection.execute(repositories, org, REPOSITORIES)
        await connection.execute(versions, org, _VERSIONS)
        await connection.execute(facts)
        await connection.execute(aliases)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def registry_dsn(platform: LocalPlatform) -> str:
    home = Home(platform.home)
    layout = Layout(home, home.identity(), home.marker(), home.secrets())
    return layout.service_environment("registry")["YOKOCHO_REGISTRY_POSTGRES__DSN"]


async def _organisation(platform: LocalPlatform) -> UUID:
    """The log has it within moments of the first start."""
    async with asyncio.timeout(10):
        while not (found := platform.events(type="tenant.created")):  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.1)
    return UUID(found[0]["orgid"])
