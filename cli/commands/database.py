"""db init: the services' roles and databases on a PostgreSQL of one's own."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from cli.errors import CommandError
from cli.options import JsonOption, show

app: Final = typer.Typer(name="db", help="A PostgreSQL of your own.", no_args_is_help=True)


@app.callback()
def db() -> None:
    """A PostgreSQL of your own."""


@app.command()
def init(
    *,
    admin_dsn: Annotated[
        str,
        typer.Option(
            envvar="YOKOCHO_ADMIN_DSN",
            help="postgresql://… of a role that may make roles and databases",
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="File for the services' variables, made with mode 0600")
    ],
    as_json: JsonOption = False,
) -> None:
    """Make a role and a database for each service, and write what each service has to be told.

    What is there stays; a second run with the same file keeps its passwords.
    """
    import asyncio

    import asyncpg

    from cli.bootstrap import create_databases
    from cli.environment import read_passwords, write_variables

    if urlsplit(admin_dsn).scheme not in {"postgresql", "postgres"}:
        raise CommandError("the DSN is no postgresql:// URL", "postgresql://user:password@host/db")
    passwords = read_passwords(output)
    try:
        made = asyncio.run(create_databases(admin_dsn, passwords))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise CommandError(
            f"the databases could not be made: {error}",
            "the role needs CREATEROLE and CREATEDB, and the server must be reachable from here",
        ) from error
    write_variables(output, admin_dsn, passwords)
    told = {"created": made, "file": str(output)}
    human = f"made {', '.join(made) or 'nothing new'}; variables are in {output}"
    show(told, as_json=as_json, human=lambda: human)
