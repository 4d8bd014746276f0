"""The platform without a supervisor: each service in a container, told apart by files of variables.

``docker-compose.yml`` is written for the names and ports here; a test holds them together.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from cli.bootstrap import create_databases
from cli.embedded import nats
from cli.errors import CommandError
from cli.home import SERVICES, Home, change, create, write_private
from cli.supervisor.layout import Layout
from libs.chassis.keys import generate_keys
from libs.chassis.sealing import generate_sealing_key

PORTS: Final[Mapping[str, int]] = {
    "postgres": 5432,
    "nats": 4222,
    "nats_monitor": 8222,
    "registry": 7101,
    "builder": 7102,
    "deployer": 7103,
    "events": 7104,
    "gateway_internal": 7105,
}
HOSTS: Final[Mapping[str, str]] = {
    name: name for name in ("postgres", "nats", "registry", "events")
}
"""Builder and deployer are on the gateway's own loopback, where the models are."""


@dataclass(frozen=True, slots=True)
class Store:
    """A bucket for the registry, in a server of its own that is told who may use it."""

    endpoint: str
    bucket: str


STORE: Final = Store("http://s3:8333", "yokocho")
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - inside a container's own network


def prepare(
    home: Home,
    *,
    admin_dsn: str,
    ports: Mapping[str, int] = PORTS,
    hosts: Mapping[str, str] = HOSTS,
    store: Store = STORE,
) -> list[str]:
    """Keys, passwords, token, databases, NATS' and S3's configuration, each service's variables.

    Idempotent: what is there is kept. Says which databases are new.
    """
    create(home)
    identity = change(home, host=_ANYWHERE, ports=dict(ports))
    generate_keys(home.keys, SERVICES)
    generate_sealing_key(home.sealing_keys)
    layout = Layout(home, identity, home.marker(), home.secrets(), hosts)
    home.nats.mkdir(exist_ok=True)
    nats.write_configuration(
        home.root / "nats.conf",
        store=home.nats,
        port=ports["nats"],
        monitor_port=ports["nats_monitor"],
        passwords=layout.secrets["nats"],
        host=_ANYWHERE,
    )
    for service in SERVICES:
        told = layout.service_environment(service)
        if service == "registry":
            told = {name: value for name, value in told.items() if "_BLOBS__" not in name}
            told |= _bucket(home, store)
        if service in hosts:
            told[f"YOKOCHO_{service.upper()}_HTTP__HOST"] = _ANYWHERE
        lines = "".join(f"{name}={value}\n" for name, value in told.items())
        write_private(variables_of(home, service), lines)
    passwords = {name: layout.secrets["postgres"][name] for name in SERVICES}
    return asyncio.run(create_databases(admin_dsn, passwords))


def _bucket(home: Home, store: Store) -> dict[str, str]:
    """The registry's variables; whoever runs the store reads ``s3.json``."""
    file = home.root / "s3.json"
    if not file.exists():
        keys = {"accessKey": "yokocho", "secretKey": secrets.token_urlsafe(32)}
        identity = {"name": "yokocho", "credentials": [keys], "actions": ["Admin"]}
        write_private(file, json.dumps({"identities": [identity]}))
    [known] = json.loads(file.read_bytes())["identities"]
    [keys] = known["credentials"]
    told = {
        "ENDPOINT": store.endpoint,
        "BUCKET": store.bucket,
        "ACCESS_KEY": keys["accessKey"],
        "SECRET_KEY": keys["secretKey"],
        "ADDRESSING": "path",
        "CACHE_FOLDER": str(home.root / "cache"),
    }
    return {f"YOKOCHO_REGISTRY_BLOBS__S3__{name}": value for name, value in told.items()}


def serve(home: Home, service: str) -> int:
    """Bring the service's schema to this code, then be the service; its exit status."""
    main = _main_of(home, service)
    return int(main(["migrate", "pre"]) or main(["serve"]))


def migrate_after(home: Home) -> int:
    """What old code could not have lived with: once every service runs the new one."""
    return max(int(_main_of(home, service)(["migrate", "post"])) for service in SERVICES)


def variables_of(home: Home, service: str) -> Path:
    return home.root / f"{service}.env"


def _main_of(home: Home, service: str) -> Callable[[list[str]], int]:
    file = variables_of(home, service)
    if not file.exists():
        raise CommandError(f"{file} is missing", "`yokocho prepare` writes it")
    lines = (line.split("=", 1) for line in file.read_text().splitlines())
    os.environ.update({name: value for name, value in lines if name not in os.environ})
    main: Callable[[list[str]], int] = import_module(f"services.{service}.__main__").main
    return main
