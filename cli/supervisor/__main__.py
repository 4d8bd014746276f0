"""``python -m cli.supervisor HOME``: run the platform of one home until SIGTERM."""

import asyncio
import logging
import sys
from pathlib import Path

from cli.home import Home
from cli.supervisor.daemon import Daemon
from cli.supervisor.lock import HomeLock

ALREADY_RUNNING = 3


def main(argv: list[str]) -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    home = Home(Path(argv[0]).resolve())
    with HomeLock(home) as lock:
        if not lock.take():
            return ALREADY_RUNNING
        return asyncio.run(_run(home))


async def _run(home: Home) -> int:
    async with asyncio.TaskGroup() as group:
        return await Daemon(home, group).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
