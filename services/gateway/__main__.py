"""``python -m services.gateway [serve|migrate pre|migrate post]``."""

import asyncio
import sys
from typing import Literal

from libs.chassis import lifecycle, telemetry
from libs.chassis.migrate import migrate
from services.gateway.settings import Settings
from services.gateway.wiring import assemble


async def serve(settings: Settings) -> None:
    async with assemble(settings) as parts:
        await lifecycle.serve(
            listeners=parts.listeners, background=parts.background, on_stop=parts.on_stop
        )


def main(argv: list[str]) -> int:
    """The exit status. Reads the environment only when called."""
    match argv:
        case [] | ["serve"]:
            settings = Settings.load()
            telemetry.set_up(settings.service, settings.telemetry)
            return lifecycle.run(serve(settings))
        case ["migrate", ("pre" | "post") as phase]:
            return _migrate("pre" if phase == "pre" else "post")
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


def _migrate(phase: Literal["pre", "post"]) -> int:
    postgres = Settings.load().postgres
    dsn = (postgres.direct_dsn or postgres.dsn).get_secret_value()
    applied = asyncio.run(migrate(dsn, "services.gateway", phase=phase))
    sys.stdout.writelines(f"applied {name}\n" for name in applied)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
