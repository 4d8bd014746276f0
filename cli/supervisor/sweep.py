"""Ending what an earlier supervisor left running: by marker, and PostgreSQL by its directory."""

from datetime import timedelta
from typing import Final

from cli.embedded import postgres
from cli.home import Home
from libs.chassis.process import leftovers, load_records, stop_leftovers

DEPLOYMENT: Final = "deployment"
_GRACE: Final = timedelta(seconds=12)


async def sweep(home: Home, marker: str, *, deployments: bool) -> int:
    """How many processes were found and ended. Models keep running unless ``deployments``."""
    kept = f"{marker}:{DEPLOYMENT}"
    found = [each for each in leftovers(marker) if deployments or each.marker != kept]
    await stop_leftovers(found, grace=_GRACE)
    await postgres.end_leftovers(home.postgres, grace=_GRACE)
    for record in load_records(home.records):
        record.path.unlink(missing_ok=True)
    return len(found)


async def stop_models(marker: str) -> None:
    """End what deployments run; without their supervisor, which must be gone already."""
    await stop_leftovers(leftovers(f"{marker}:{DEPLOYMENT}"), grace=_GRACE)
