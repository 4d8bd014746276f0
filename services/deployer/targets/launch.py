"""How one service of a bento is started: its command, its environment, its folders."""

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from libs.chassis.isolation import prefixes_of
from libs.chassis.process import Command
from services.deployer.domain.config import OVERRIDES_VARIABLE
from services.deployer.domain.deployment import Replica
from services.deployer.targets.target import Launch

_INHERITED: Final = (
    "LANG",
    "LC_ALL",
    "TZ",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
)
"""All that a model's process sees of ours: no credential of the platform is among them."""
_LOOPBACK: Final = "127.0.0.1,localhost"
_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_LAUNCHERS: Final = "lib/python*/site-packages/bentoml_cli/_internal/start.py"
"""BentoML 1.4 keeps ``start-http-server`` here; before, it was a command like any other."""
_UNSAFE: Final = re.compile(r"[^-A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the target keeps things, below one root."""

    root: Path

    @property
    def records(self) -> Path:
        return self.root / "run"

    def work(self, replica: Replica) -> Path:
        """Its home: writable, and its alone."""
        return self.root / "work" / str(replica.id)

    def remove_work(self, kept: Collection[str]) -> None:
        """Homes whose replicas nobody knows."""
        for path in self.root.glob("work/*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def every_log(self) -> list[Path]:
        """Without what was rotated away; that goes with its deployment."""
        return list(self.root.glob("logs/*/*.log"))

    def logs(self, deployment_id: UUID) -> Path:
        return self.root / "logs" / str(deployment_id)

    def log(self, replica: Replica) -> Path:
        name = f"{replica.revision_id}-{_UNSAFE.sub('_', replica.service)}-{replica.position}.log"
        return self.logs(replica.deployment_id) / name


def command(launch: Launch, work: Path, *, inherited: Mapping[str, str] | None = None) -> Command:
    """``start-http-server`` of one service, on loopback, with nothing of ours around it."""
    given = os.environ if inherited is None else inherited
    image = image_of(launch)
    return Command(
        argv=tuple(_argv(launch, image)),
        env=dict(_environment(launch, image=image, work=work, given=given)),
        cwd=work,
    )


def image_of(launch: Launch) -> Path:
    return Path(unquote(urlsplit(launch.image_uri).path))


def folders_of(image: Path) -> list[Path]:
    """What a process reads: an image, its environment, and the interpreter of that."""
    environment = (image / "environment").resolve()
    found = [image, environment]
    for prefix in prefixes_of(environment / "bin" / "python"):
        if not any(prefix.is_relative_to(each) for each in found):
            found.append(prefix)
    return found


def place(work: Path, path: str, content: str) -> None:
    """A file below the process's home, for its owner alone.

    What ran there before may have left links: none is followed.
    """
    *folders, name = PurePosixPath(path).parts
    at = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=at)
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=at)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=at), "w") as out:
            out.write(content)
    finally:
        os.close(at)


def needs_of(argv: tuple[str, ...]) -> tuple[str, ...]:
    """URLs of the dependencies that a command names: what a found process was started with."""
    return tuple(value.partition("=")[2] for word, value in pairwise(argv) if word == "--depends")


def _argv(launch: Launch, image: Path) -> Iterator[str]:
    environment = image / "environment"
    module = "bentoml_cli._internal.start" if any(environment.glob(_LAUNCHERS)) else "bentoml"
    yield from (str(environment / "bin" / "python"), "-m", module, "start-http-server")
    yield from (str(image / "bento"), "--service-name", launch.replica.service)
    for name, url in launch.needs.items():
        yield from ("--depends", f"{name}={url}")
    yield from ("--host", "127.0.0.1", "--port", str(launch.replica.port))


def _environment(
    launch: Launch, *, image: Path, work: Path, given: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    yield from ((name, given[name]) for name in _INHERITED if name in given)
    without = ",".join(filter(None, (given.get("NO_PROXY") or given.get("no_proxy"), _LOOPBACK)))
    yield from (("NO_PROXY", without), ("no_proxy", without))
    yield "LANG", given.get("LANG", "C.UTF-8")
    yield "PATH", f"{image}/environment/bin:{given.get('PATH', _SYSTEM_PATH)}"
    yield "VIRTUAL_ENV", f"{image}/environment"
    yield "HOME", str(work)
    yield "TMPDIR", str(work / "tmp")
    yield "PYTHONUNBUFFERED", "1"
    yield "PYTHONDONTWRITEBYTECODE", "1"
    if launch.overrides:
        yield OVERRIDES_VARIABLE, json.dumps({"services": dict(launch.overrides)})
    yield from launch.envs
    yield "BENTOML_HOME", str(work)
    yield "BENTOML_DO_NOT_TRACK", "True"
