"""models, bentos: what is in them, without downloading all of it, and what changed."""

import sys
from posixpath import normpath
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.commands.removal import version_path
from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show, table

Tag = Annotated[str, typer.Argument(metavar="NAME:VERSION", help="Or NAME@ALIAS")]


def add_inside(app: typer.Typer, kind: str) -> None:
    app.command("tree")(_tree(kind))
    app.command("cat")(_cat(kind))
    app.command("diff")(_diff(kind))


def _tree(kind: str) -> Any:
    def tree(
        tag: Tag,
        folder: Annotated[str, typer.Argument(help="Only what is below it")] = "",
        *,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """The files of a version."""
        from cli.client import Api

        path = f"{version_path(kind, tag)}/files"
        items = list(Api.of(home_at(home)).all(path, {"prefix": folder or None}))
        show({"items": items}, as_json=as_json, human=lambda: _listed(items))

    return tree


def _cat(kind: str) -> Any:
    def cat(
        tag: Tag,
        path: Annotated[str, typer.Argument(help="As `tree` shows it")],
        *,
        home: HomeOption = None,
    ) -> None:
        """The bytes of one file, to standard output."""
        from cli.client import Api

        for piece in Api.of(home_at(home)).content(
            f"{version_path(kind, tag)}/files/{quote(normpath(path).lstrip('/'))}"
        ):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    return cat


def _diff(kind: str) -> Any:
    def diff(
        before: Tag,
        after: Tag,
        *,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """What is otherwise in the second version: files, packages, API, metadata, labels."""
        from cli.client import Api

        name, other = before.partition(":")[0].partition("@")[0], after
        if after.partition(":")[0].partition("@")[0] != name:
            raise CommandError("two versions of one repository are compared", f"say {name}:…")
        other = "@" + after.partition("@")[2] if "@" in after else after.partition(":")[2]
        found = Api.of(home_at(home)).get(f"{version_path(kind, before)}/diff", {"to": other})
        show(found, as_json=as_json, human=lambda: _told(found))

    return diff


def _listed(items: list[dict[str, Any]]) -> str:
    rows = [("MODE", "BYTES", "PATH")]
    for each in items:
        arrow = f" -> {each['target']}" if each["kind"] == "link" else ""
        slash = "/" if each["kind"] == "folder" else ""
        rows.append((each["mode"], str(each["size_bytes"]), f"{each['path']}{slash}{arrow}"))
    return table(rows)


def _told(found: dict[str, Any]) -> str:
    rows = [("WHAT", "", "")]
    for change in sorted(found["api"], key=lambda each: not each["breaking"]):
        weight = "BREAKING" if change["breaking"] else "api"
        rows.append((weight, change["route"], change["reason"]))
    for mark, key in (("+", "added"), ("-", "removed"), ("~", "changed"), ("?", "unknown")):
        rows += [("file", mark, path) for path in found["files"][key]]
    for what in ("packages", "metadata", "labels"):
        rows += [(what, "+", f"{k} {v}") for k, v in found[what]["added"].items()]
        rows += [(what, "-", f"{k} {v}") for k, v in found[what]["removed"].items()]
        rows += [
            (what, "~", f"{key} {change['before']} → {change['after']}")
            for key, change in found[what]["changed"].items()
        ]
    return table(rows) if len(rows) > 1 else "no difference"
