"""How one service of a bento is started from an unpacked container image, as a cluster would."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from libs.chassis.isolation import HOME, Isolation
from libs.chassis.process import Command
from services.deployer.domain.config import OVERRIDES_VARIABLE
from services.deployer.targets.launch import command, folders_of, image_of
from services.deployer.targets.target import Launch

_ROOT: Final = "rootfs"
_INHERITED: Final = (
    *("TZ", "CUDA_VISIBLE_DEVICES", "NO_PROXY", "no_proxy"),
    *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"),
)
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Container:
    """``start_in`` is of the image's root, as every path in the command."""

    command: Command
    root: Path
    start_in: Path


def begun(launch: Launch, work: Path, isolation: Isolation) -> AbstractContextManager[Command]:
    """The command to start while the context is entered, whichever kind of image it is of."""
    image = image_of(launch)
    if not (image / _ROOT).is_dir():
        return isolation.around(command(launch, work), folders_of(image))
    made = container(launch, image, work)
    return isolation.within(made.command, made.root, start_in=made.start_in)


def container(
    launch: Launch, image: Path, work: Path, *, given: Mapping[str, str] | None = None
) -> Container:
    """What the image says that it runs, told which service and where to listen.

    ``work`` is its home, and lies at ``HOME`` for it.
    """
    said = _config(image)
    env = dict(_environment(launch, said, os.environ if given is None else given))
    folder = Path(_text(said.get("WorkingDir")) or "/")
    argv = (*_program(said), *_arguments(launch))
    start_in = folder if folder.is_absolute() else Path("/", folder)
    return Container(Command(argv, env, work), image / _ROOT, start_in)


def _config(image: Path) -> Mapping[str, Any]:
    try:
        document = json.loads((image / "config.json").read_bytes())
    except (ValueError, RecursionError) as error:
        raise PermissionError("the image's configuration is no JSON") from error
    found = document.get("config") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _program(said: Mapping[str, Any]) -> list[str]:
    """A name without a folder is looked up in the image."""
    argv = _texts(said.get("Entrypoint")) or _texts(said.get("Cmd"))
    if not argv:
        raise PermissionError("the image says neither Entrypoint nor Cmd")
    return argv if "/" in argv[0] else ["/usr/bin/env", *argv]


def _arguments(launch: Launch) -> Iterator[str]:
    """Those of ``start-http-server``, which the entrypoint passes on."""
    yield from ("--host", "127.0.0.1", "--port", str(launch.replica.port))
    yield from ("--service-name", launch.replica.service)
    for name, url in launch.needs.items():
        yield from ("--depends", f"{name}={url}")


def _environment(
    launch: Launch, said: Mapping[str, Any], given: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    yield "PATH", _PATH
    yield from ((name, given[name]) for name in _INHERITED if name in given)
    user = _text(said.get("User")).partition(":")[0]
    if user and not user.isdigit():
        yield from (("USER", user), ("LOGNAME", user))
    for each in _texts(said.get("Env")):
        name, separator, value = each.partition("=")
        if name and separator:
            yield name, value
    if launch.overrides:
        yield OVERRIDES_VARIABLE, json.dumps({"services": dict(launch.overrides)})
    yield from launch.envs
    yield from (("HOME", str(HOME)), ("TMPDIR", str(HOME / "tmp")), ("BENTOML_HOME", str(HOME)))
    yield "PYTHONDONTWRITEBYTECODE", "1"
    yield "BENTOML_DO_NOT_TRACK", "True"
    yield "BENTOML_SERVE_COMPONENT", "http_server"
    yield "BENTOML_SERVE_SERVICE_NAME", launch.replica.service
    yield "PORT", str(launch.replica.port)


def _texts(value: object) -> list[str]:
    return [_text(each) for each in value] if isinstance(value, list) else []


def _text(value: object) -> str:
    """Without what ends a text for those who start it."""
    return value.replace("\0", "") if isinstance(value, str) else ""
