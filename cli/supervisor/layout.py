"""What each process of one home is told: ports, addresses, passwords, as environment variables."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import cli
from cli.embedded.postgres import service_dsn
from cli.home import SERVICES, Home, Identity
from cli.ports import LOOPBACK, bracketed, reachable

PUBLIC_URL: Final = "YOKOCHO_PUBLIC_URL"
ENDPOINTS_URL: Final = "YOKOCHO_ENDPOINTS_URL"
_PREFIX: Final = "YOKOCHO_"

_SILENT: Final = ("events",)
"""They record what happens, and say nothing themselves."""

PEERS: Final[Mapping[str, tuple[str, ...]]] = {
    "registry": ("deployer",),
    "builder": ("registry", "deployer"),
    "deployer": ("registry", "builder"),
    "gateway": ("registry", "builder", "deployer", "events"),
    "events": (),
}
"""Whom each service calls over HTTP."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One home as its processes see it."""

    home: Home
    identity: Identity
    marker: str
    secrets: Mapping[str, Mapping[str, str]]
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Where servers and services are that are not on this machine's loopback."""

    @property
    def port(self) -> int:
        return self.identity.port

    @property
    def endpoints_port(self) -> int:
        return self.identity.port + 1

    @property
    def url(self) -> str:
        """Of API and dashboard, without a trailing slash."""
        told = os.environ.get(PUBLIC_URL, "").rstrip("/")
        return told or f"http://{bracketed(reachable(self.identity.host))}:{self.port}"

    @property
    def endpoints_url(self) -> str:
        """Origin of what models serve; behind a proxy it has a setting of its own."""
        if told := os.environ.get(ENDPOINTS_URL, "").rstrip("/"):
            return told
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{bracketed(parts.hostname or LOOPBACK)}:{self.endpoints_port}"

    def internal_url(self, service: str) -> str:
        port = self.port if service == "gateway" else self.identity.ports[service]
        return f"http://{self._host(service)}:{port}"

    def service_environment(self, service: str) -> dict[str, str]:
        """Everything the service's settings need; nothing of another service."""
        postgres = service_dsn(
            self.identity.ports["postgres"],
            service,
            self.secrets["postgres"][service],
            host=self._host("postgres"),
        )
        bus = f"nats://{service}:{self.secrets['nats'][service]}"
        told = {
            "POSTGRES__DSN": postgres,
            "BUS__URL": f"{bus}@{self._host('nats')}:{self.identity.ports['nats']}",
            "HTTP__PORT": str(self.identity.ports.get(service, self.port)),
            "IDENTITY__KEY_FILE": str(self.home.keys / f"{service}.pem"),
            **({} if service in _SILENT else {"EPOCH": str(self.identity.epoch)}),
            "IDENTITY__PUBLIC_KEYS_FILE": str(self.home.keys / "public.json"),
            **{f"PEERS__{peer.upper()}": self.internal_url(peer) for peer in PEERS[service]},
            **self._own(service),
        }
        return {f"{_PREFIX}{service.upper()}_{name}": value for name, value in told.items()}

    def _host(self, name: str) -> str:
        return self.hosts.get(name, LOOPBACK)

    def _own(self, service: str) -> dict[str, str]:
        root = self.home.root
        match service:
            case "registry":
                return {"BLOBS__ROOT": str(root / "blobs"), "PUBLIC_URL": self.url}
            case "builder":
                return {"ROOT": str(root / "builder"), "MARKER": f"{self.marker}:build"}
            case "deployer":
                return {
                    "ROOT": str(root / "deployer"),
                    "SECRET_KEYS_FILE": str(self.home.sealing_keys),
                    "MARKER": f"{self.marker}:deployment",
                    "PUBLIC_URL": self.endpoints_url,
                }
            case "gateway":
                return {
                    "HTTP__HOST": self.identity.host,
                    "ENDPOINTS_PORT": str(self.endpoints_port),
                    "INTERNAL__PORT": str(self.identity.ports["gateway_internal"]),
                    "BOOTSTRAP_TOKEN_FILE": str(self.home.token_file),
                }
            case _:
                return {}


def base_environment() -> dict[str, str]:
    """For our own processes: what this one has, but of YOKOCHO_* only the services' settings."""
    own = tuple(f"{_PREFIX}{service.upper()}_" for service in SERVICES)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PREFIX) or name.startswith(own)
    }
    source = str(Path(cli.__file__).parent.parent)
    paths = [source, *(each for each in kept.get("PYTHONPATH", "").split(os.pathsep) if each)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
    }


def server_environment() -> dict[str, str]:
    """For PostgreSQL and NATS: nothing that could change what they do."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}


def migrations_fingerprint() -> str:
    """Changes whenever a migration file is added or edited: the same one needs no second run."""
    source = Path(cli.__file__).parent.parent
    files = sorted(
        [*source.glob("libs/chassis/migrations/*"), *source.glob("services/*/migrations/*")]
    )
    told = [(str(each.relative_to(source)), each.read_text()) for each in files if each.is_file()]
    return hashlib.sha256(json.dumps([sys.version, *told]).encode()).hexdigest()
