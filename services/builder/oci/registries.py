"""Every registry but the platform's own: where it is, who we are there, and whom to trust."""

import ssl as tls
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from services.builder.errors import BuildFailedError
from services.builder.oci.access import Access, TokenAccess, credentials_of
from services.builder.oci.access.ecr import EcrAccess, region_of
from services.builder.oci.client import Remote
from services.builder.oci.reference import canonical_registry

_HOSTS: Final = {"docker.io": "registry-1.docker.io"}
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """``docker_config`` is a ``config.json``; ``plain_http`` are hosts that speak no TLS.

    ``allowed`` are those that whoever builds may name; without any, every one.
    """

    docker_config: Path | None = None
    plain_http: Collection[str] = ()
    ca_file: Path | None = None
    ecr_role: str | None = None
    allowed: Collection[str] = ()


class Registries:
    """One ``Remote`` for each: its tokens are kept as long as they are good.

    The docker config is read once per registry: with new credentials the builder is restarted.
    """

    def __init__(self, session: aiohttp.ClientSession, known: Known) -> None:
        self._session = session
        self._known = known
        self._plain = {canonical_registry(each) for each in known.plain_http}
        self._allowed = {canonical_registry(each) for each in known.allowed}
        self._trust: tls.SSLContext | bool = True
        if known.ca_file is not None:
            self._trust = tls.create_default_context()
            self._trust.load_verify_locations(cafile=known.ca_file)
        self._remotes: dict[str, Remote] = {}

    def remote(self, registry: str) -> Remote:
        """Raises ``BuildFailedError`` for one that is not among those that may be named."""
        if self._allowed and registry not in self._allowed:
            raise BuildFailedError(
                "registry-denied", f"the settings allow {', '.join(sorted(self._allowed))} alone"
            )
        if registry not in self._remotes:
            if len(self._remotes) >= _MOST:
                self._remotes.clear()  # bentos name them
            plain = registry in self._plain
            url = f"{'http' if plain else 'https'}://{_HOSTS.get(registry, registry)}"
            access = self._access(registry, plain_http=plain)
            self._remotes[registry] = Remote(self._session, url, access=access, ssl=self._trust)
        return self._remotes[registry]

    def _access(self, registry: str, *, plain_http: bool) -> Access:
        config = self._known.docker_config
        found = credentials_of(config.read_bytes(), registry) if config is not None else None
        region = region_of(registry)
        if found is None and region is not None:
            return EcrAccess(region, role=self._known.ecr_role)
        return TokenAccess(self._session, found, plain_http=plain_http, ssl=self._trust)
