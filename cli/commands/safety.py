"""backup, restore, db init: what is done before something goes wrong, and after."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import HomeOption, JsonOption, home_at, note, show


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="File to write. Default: yokocho-<time>.tar here")
    ] = None,
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a home into one file, running or not. It holds keys and a token: keep it like them."""
    from cli.backup import save

    named = file or Path(f"yokocho-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar")
    saved = save(home_at(home), named.expanduser().resolve(), note=note)
    told: dict[str, Any] = {
        "file": str(saved.file),
        "size_bytes": saved.size_bytes,
        "seconds": round(saved.seconds, 2),
    }
    size = f"{saved.size_bytes / 2**20:.1f} MiB"
    show(told, as_json=as_json, human=lambda: f"{saved.file}: {size} in {saved.seconds:.1f} s")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup")],
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home from a backup, where none is. Environments are built again by the next `up`."""
    from cli.backup import restore as run

    made = run(file.expanduser().resolve(), home_at(home), note=note)
    told: dict[str, Any] = {
        "home": str(made.home),
        "created": made.created,
        "epoch": made.epoch,
        "seconds": round(made.seconds, 2),
    }
    human = f"{made.home} is as it was at {made.created}\nnext: `yokocho up`"
    show(told, as_json=as_json, human=lambda: human)
