"""The home folder: everything one platform has on this machine, and where each thing is."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cli.errors import CommandError
from cli.ports import DEFAULT_PORT, LOOPBACK

SERVICES: Final = ("registry", "builder", "deployer", "gateway", "events")
INTERNAL: Final = (
    *("postgres", "nats", "nats_monitor"),
    *("registry", "builder", "deployer", "events", "gateway_internal"),
)
"""Listeners on loopback only; their ports are chosen once per home."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """``home.json``: what makes this home this one. Written whole, replaced atomically."""

    id: str
    port: int = DEFAULT_PORT
    host: str = LOOPBACK
    ports: Mapping[str, int] = field(default_factory=dict)
    postgres_major: int | None = None
    prepared: bool = False
    """Keys, roles and databases exist."""
    migrated: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint of the migrations that ran, by phase."""
    epoch: int = 1
    """Raised by a restore, to a number that no earlier life can have reached: the time of it."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home. Nothing is read or made before it is asked for."""

    root: Path

    @property
    def identity_file(self) -> Path:
        return self.root / "home.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def token_file(self) -> Path:
        return self.root / "token"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def sealing_keys(self) -> Path:
        """Of secrets; the first one seals."""
        return self.keys / "sealing"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def records(self) -> Path:
        return self.run / "records"

    @property
    def lock_file(self) -> Path:
        return self.run / "supervisor.lock"

    @property
    def status_file(self) -> Path:
        return self.run / "status.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def exists(self) -> bool:
        return self.identity_file.exists()

    def marker(self) -> str:
        """What this home's processes carry. A copy of a home is another home: the path counts."""
        told = f"{self.identity().id}:{self.root.resolve()}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def identity(self) -> Identity:
        """Raises ``CommandError`` where there is no home, or one of a later format."""
        try:
            told = json.loads(self.identity_file.read_bytes())
        except FileNotFoundError:
            raise CommandError(
                f"there is no platform in {self.root}",
                "`yokocho up` makes one; `--home` or YOKOCHO_HOME names another folder",
            ) from None
        except ValueError as error:
            raise CommandError(
                f"{self.identity_file} cannot be read: {error}", "restore it from a backup"
            ) from error
        if told.pop("format", 0) != _FORMAT:
            raise CommandError(
                f"{self.root} was written by another version of the platform",
                "use the version that wrote it, or another `--home`",
            )
        return Identity(**told)

    def save(self, identity: Identity) -> None:
        told = {name: getattr(identity, name) for name in Identity.__dataclass_fields__}
        write_private(self.identity_file, json.dumps({"format": _FORMAT, **told}, indent=1))

    def secrets(self) -> dict[str, dict[str, str]]:
        """Passwords by server and user."""
        told: dict[str, dict[str, str]] = json.loads(self.secrets_file.read_bytes())
        return told

    def token(self) -> str:
        try:
            return self.token_file.read_text().strip()
        except FileNotFoundError:
            self.identity()
            raise CommandError(
                f"{self.token_file} is missing", "`yokocho up` makes a token"
            ) from None


def create(home: Home) -> Identity:
    """Make the folder, its identity, passwords and token; what is there already stays."""
    for folder in (home.root, home.logs, home.run, home.records):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not home.secrets_file.exists():
        write_private(home.secrets_file, json.dumps(_new_secrets(), indent=1))
    if not home.token_file.exists():
        write_private(home.token_file, f"yok_{secrets.token_hex(24)}\n")
    if not home.exists():
        home.save(Identity(id=uuid4().hex))
    return home.identity()


def change(home: Home, **fields: Any) -> Identity:
    """Replace some fields of ``home.json``."""
    identity = replace(home.identity(), **fields)
    home.save(identity)
    return identity


def default_root() -> Path:
    """Where the home is when nobody says."""
    if os.geteuid() == 0:
        return Path("/var/lib/yokocho")
    return Path.home() / ".yokocho"


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by its owner only, on the disk when this returns."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def platform_version() -> str:
    try:
        return version("yokocho")
    except PackageNotFoundError:
        return "unreleased"


def _new_secrets() -> dict[str, dict[str, str]]:
    return {
        "postgres": {name: secrets.token_hex(20) for name in ("postgres", *SERVICES)},
        "nats": {name: secrets.token_hex(20) for name in ("admin", *SERVICES)},
    }
