"""models, bentos: what the registry has, found by what it says of itself, and its aliases."""

import json
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli.commands.inside import add_inside
from cli.commands.removal import add_removal
from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show, table

_MIB: Final = 2**20
Name = Annotated[str, typer.Argument(help="Name of the repository")]
AliasName = Annotated[str, typer.Argument(metavar="ALIAS", help="For example: production")]


def registry_app(kind: str) -> typer.Typer:
    """``yokocho models …`` or ``yokocho bentos …``."""
    app = typer.Typer(name=f"{kind}s", help=f"{kind.capitalize()}s.", no_args_is_help=True)
    app.command("list")(_lister(kind))
    app.command("show")(_shower(kind))
    app.command("aliases")(_aliases(kind))
    app.command("alias")(_mover(kind))
    app.command("unalias")(_remover(kind))
    add_removal(app, kind)
    add_inside(app, kind)
    return app


def _lister(kind: str) -> Any:
    def newest(
        query: Annotated[
            str, typer.Argument(help="As 'accuracy > 0.9 and not label.stage = \"dev\"'")
        ] = "",
        *,
        count: Annotated[int, typer.Option(min=1, max=500, help="How many at most")] = 50,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Those that fit a query, newest first; the language is described in docs/queries.md."""
        from cli.client import Api

        asked = {"query": query, "count": str(count)}
        found = Api.of(home_at(home)).get(f"/api/registry/{kind}s", asked)
        show(found, as_json=as_json, human=lambda: _overview(found))

    return newest


def _shower(kind: str) -> Any:
    def one(
        tag: Annotated[str, typer.Argument(help="NAME:VERSION or NAME@ALIAS")],
        *,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """One version: digest, size, labels, metadata."""
        from cli.client import Api

        api = Api.of(home_at(home))
        name, at, alias = tag.partition("@")
        if at:
            version = api.get(f"{_of(kind, name)}/{quote(alias, safe='')}")["version"]
        else:
            name, _, version = tag.partition(":")
        asked = f"name = {json.dumps(name)} and version = {json.dumps(version)}"
        items = api.get(f"/api/registry/{kind}s", {"query": asked})["items"]
        if not items:
            raise CommandError(
                f"there is no {kind} '{tag}' that was uploaded", f"`yokocho {kind}s list` has those"
            )
        show(items[0], as_json=as_json, human=lambda: json.dumps(items[0], indent=1))

    return one


def _aliases(kind: str) -> Any:
    def aliases(name: Name, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
        """Every alias and the version that it means."""
        from cli.client import Api

        items = list(Api.of(home_at(home)).all(_of(kind, name)))
        rows = [("ALIAS", "VERSION", "SINCE", "PROTECTED")]
        for each in items:
            protected = "yes" if each["protected"] else ""
            rows.append((each["name"], each["version"], each["moved_at"][:19], protected))
        show({"items": items}, as_json=as_json, human=lambda: table(rows))

    return aliases


def _mover(kind: str) -> Any:
    def alias(
        name: Name,
        alias: AliasName,
        version: Annotated[str, typer.Argument(help="What it is to mean")],
        *,
        expected: Annotated[
            str | None,
            typer.Option(help="Only if it means this version now. Default: whatever it means"),
        ] = None,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Make an alias, or move it."""
        from cli.client import Api

        api = Api.of(home_at(home))
        now = {each["name"]: each["version"] for each in api.all(_of(kind, name))}
        body = {"version": version, "expected": expected or now.get(alias)}
        moved = api.put(f"{_of(kind, name)}/{quote(alias, safe='')}", body)
        before = now.get(alias) or "nothing"
        show(moved, as_json=as_json, human=lambda: f"{name}@{alias}: {before} → {version}")

    return alias


def _remover(kind: str) -> Any:
    def unalias(
        name: Name, alias: AliasName, *, home: HomeOption = None, as_json: JsonOption = False
    ) -> None:
        """Remove an alias; its history stays."""
        from cli.client import Api

        api = Api.of(home_at(home))
        at = f"{_of(kind, name)}/{quote(alias, safe='')}"
        version = api.get(at)["version"]
        api.delete(f"{at}?expected={quote(version)}")
        told = {"removed": alias, "version": version}
        show(told, as_json=as_json, human=lambda: f"{name}@{alias} meant {version}, and is gone")

    return unalias


def _of(kind: str, name: str) -> str:
    return f"/api/registry/{kind}s/{quote(name, safe='')}/aliases"


def _overview(found: dict[str, Any]) -> str:
    rows = [("TAG", "CREATED", "SIZE", "LABELS", "METADATA")]
    for each in found["items"]:
        labels = ", ".join(f"{key}={value}" for key, value in each["labels"].items())
        metadata = ", ".join(f"{key}={value}" for key, value in each["metadata"].items())
        size = f"{each['size_bytes'] / _MIB:.1f} MiB"
        tag = f"{each['name']}:{each['version']}"
        rows.append((tag, each["created_at"][:19], size, labels[:40], metadata[:60]))
    more = "\n… and others: --count shows more" if found["next"] else ""
    return table(rows) + more
