"""``yokocho``, also as ``python -m cli``: every command, and how its failures are said."""

import json
import sys
from typing import Final

import typer

from cli.commands import (
    base_images,
    builds,
    carry,
    containers,
    database,
    demo,
    doctor,
    lifecycle,
    platform,
    safety,
    secret,
    trust,
)
from cli.commands.registry import registry_app
from cli.errors import CommandError

app: Final = typer.Typer(
    name="yokocho",
    help="From `bentoml push` to a running endpoint, on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(lifecycle.up)
app.command()(lifecycle.down)
app.command()(lifecycle.status)
app.command()(platform.login)
app.command()(platform.deployments)
app.command()(platform.events)
app.command()(platform.logs)
app.command()(builds.build)
trust.add_trust(builds.app)
app.add_typer(builds.app)
app.add_typer(base_images.app)
for _kind in ("model", "bento"):
    app.add_typer(registry_app(_kind))
app.add_typer(secret.app)
app.command()(safety.backup)
app.command()(safety.restore)
app.command()(carry.export)
app.command("import")(carry.bring)
app.add_typer(database.app)
app.command()(containers.prepare)
app.command()(containers.serve)
app.command()(containers.migrate)
app.command()(demo.demo)
app.command()(doctor.doctor)


def main() -> None:
    """Expected trouble is said in words with its cure; anything else is a traceback."""
    try:
        app()
    except CommandError as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": error.trouble, "cure": error.cure}))
        print(f"yokocho: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
