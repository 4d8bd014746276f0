"""``python -m bench.facts HOME ORG RATE COUNT``: commit events as the registry would, at a rate.

Its last line says when each commit returned, by event id, on the clock that all processes share.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from cli.home import Home
from cli.supervisor.layout import Layout
from libs.chassis import context
from libs.chassis.bus import connect
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Outbox, Relay
from libs.chassis.postgres import Connection, Database, create_pool
from libs.contracts.registry import ModelPushed


def outbox(connection: Connection) -> Outbox:
    return Outbox(connection, service="registry")


async def publish(home: Home, *, org: UUID, rate: int, count: int) -> dict[str, float]:
    """Each commit has its own moment, so that a slow one does not delay the others."""
    layout = Layout(home, home.identity(), home.marker(), home.secrets())
    told = layout.service_environment("registry")
    dsn, url = told["YOKOCHO_REGISTRY_POSTGRES__DSN"], told["YOKOCHO_REGISTRY_BUS__URL"]
    committed: dict[str, float] = {}
    wake = Wake()
    async with (
        create_pool(dsn, max_size=6, application_name="bench") as pool,
        await connect(url, "registry") as bus,
        asyncio.TaskGroup() as group,
    ):
        database = Database(pool, outbox, committed=wake.set)
        relay = group.create_task(Relay(pool, bus, service="registry", wake=wake).run())
        with context.bound(context.Cause("service:registry", org, "bench")):
            async with asyncio.TaskGroup() as commits:
                begun = time.monotonic() + 0.5
                for number in range(count):
                    await asyncio.sleep(max(begun + number / rate - time.monotonic(), 0))
                    commits.create_task(_commit(database, committed))
        await asyncio.sleep(1)
        relay.cancel()
    return committed


async def _commit(database: Database[Outbox], committed: dict[str, float]) -> None:
    model = uuid7()
    event = ModelPushed(
        model_id=model,
        repository="bench",
        version=model.hex,
        digest=f"sha256:{model.hex * 2}",
        size_bytes=2**30,
    )
    async with database.transaction() as transaction:
        envelope = await transaction.append(event, entity_seq=1)
    committed[str(envelope.id)] = time.monotonic()


def main(argv: list[str]) -> int:
    home, org, rate, count = argv
    told = publish(Home(Path(home)), org=UUID(org), rate=int(rate), count=int(count))
    print(json.dumps(asyncio.run(told)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
