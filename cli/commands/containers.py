"""prepare, serve, migrate: the platform in containers, where something else supervises."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show


class Service(StrEnum):
    REGISTRY = "registry"
    BUILDER = "builder"
    DEPLOYER = "deployer"
    GATEWAY = "gateway"
    EVENTS = "events"


def prepare(
    *,
    admin_dsn: Annotated[
        str,
        typer.Option(
            envvar="YOKOCHO_ADMIN_DSN",
            help="postgresql://… of a role that may make roles and databases",
        ),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make what services in containers need: keys, databases, NATS' configuration, variables."""
    import asyncpg

    from cli import containers

    at = home_at(home)
    try:
        made = containers.prepare(at, admin_dsn=admin_dsn)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise CommandError(
            f"the databases could not be made: {error}",
            "the role needs CREATEROLE and CREATEDB, and the server must be reachable from here",
        ) from error
    told = {"home": str(at.root), "created": made}
    show(told, as_json=as_json, human=lambda: f"{at.root} is prepared; new: {', '.join(made)}")


def serve(
    service: Annotated[Service, typer.Argument(help="Which of the five")],
    *,
    home: HomeOption = None,
) -> None:
    """Be one service, in the foreground, with the variables that `prepare` wrote."""
    from cli import containers

    raise typer.Exit(containers.serve(home_at(home), service.value))


def migrate(*, home: HomeOption = None) -> None:
    """After an upgrade, once every service runs the new version: the rest of the migrations."""
    from cli import containers

    raise typer.Exit(containers.migrate_after(home_at(home)))
