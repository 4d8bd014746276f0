"""A file of variables that tells each service its own database, and nothing else."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cli.embedded.postgres import database_of
from cli.home import SERVICES, write_private


def variable(service: str) -> str:
    return f"YOKOCHO_{service.upper()}_POSTGRES__DSN"


def read_passwords(file: Path) -> dict[str, str]:
    """Those in the file; a new one for each service that it does not name."""
    lines = file.read_text().splitlines() if file.exists() else []
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return {
        service: urlsplit(told.get(variable(service), "")).password or secrets.token_hex(20)
        for service in SERVICES
    }


def write_variables(file: Path, admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """One line per service: its role at the server of ``admin_dsn``, options kept."""
    parts = urlsplit(admin_dsn)
    _, _, where = parts.netloc.rpartition("@")
    lines = [
        f"{variable(service)}="
        + parts._replace(
            netloc=f"{database_of(service)}:{password}@{where}", path=f"/{database_of(service)}"
        ).geturl()
        for service, password in passwords.items()
    ]
    write_private(file, "\n".join(lines) + "\n")
