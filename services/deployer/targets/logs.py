"""What is kept of what processes wrote."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from libs.chassis.process import rotate

_LOG_BYTES: Final = 16 * 2**20
_LOGS_KEPT: Final = 3
_LOGS_OUTLIVE: Final = timedelta(days=7)


def tend(path: Path, *, live: bool) -> None:
    """Keep it bounded while it is written; remove it a while after."""
    if live:
        rotate(path, max_bytes=_LOG_BYTES, keep=_LOGS_KEPT)
    elif datetime.now(UTC) - datetime.fromtimestamp(path.stat().st_mtime, UTC) > _LOGS_OUTLIVE:
        path.unlink()
