"""The Debian packages of a base image: ``/var/lib/dpkg/status``."""

import re
from dataclasses import dataclass
from typing import Final

from services.builder.errors import SupplyError
from services.builder.plan.dpkg import installed

LIMIT: Final = 32 * 1024 * 1024
_PACKAGES: Final = 20_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+:~-]{1,127}")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    name: str
    version: str
    architecture: str
    source: str | None = None
    """Where it is not the name: advisories are written of sources."""


def packages_of(status: str) -> tuple[Package, ...]:
    if len(status) > LIMIT:
        raise SupplyError(f"dpkg's status has {len(status)} characters; {LIMIT} are the most")
    found: set[Package] = set()
    for fields in installed(status):
        found.add(_package(fields))
        if len(found) > _PACKAGES:
            raise SupplyError(f"dpkg's status names more than {_PACKAGES} packages")
    return tuple(sorted(found, key=lambda each: (each.name, each.architecture, each.version)))


def _package(fields: dict[str, str]) -> Package:
    name, version = fields.get("Package", ""), fields.get("Version", "")
    architecture = fields.get("Architecture", "")
    if not (
        _NAME.fullmatch(name) and _VERSION.fullmatch(version) and _NAME.fullmatch(architecture)
    ):
        raise SupplyError(f"dpkg's status names a package that cannot be: {name[:64]!r}")
    source = fields.get("Source", "").split(" ")[0]
    return Package(name, version, architecture, source if _NAME.fullmatch(source) else None)
