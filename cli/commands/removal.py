"""models, bentos: deleted, brought back, kept by rules, checked, and what nobody needs any more."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show, table

_MIB: Final = 2**20
Tag = Annotated[str, typer.Argument(metavar="NAME[:VERSION]")]
Name = Annotated[str, typer.Argument(help="Name of the repository")]


def add_removal(app: typer.Typer, kind: str) -> None:
    app.command("delete")(_deleter(kind))
    app.command("undelete")(_restorer(kind))
    app.command("trash")(_trash(kind))
    app.command("keep")(_keeper(kind))
    app.command("gc")(_gc)
    app.command("verify")(_verifier(kind))


def version_path(kind: str, tag: str) -> str:
    """Raises ``CommandError`` where no version is named."""
    name, at, alias = tag.partition("@")
    if at:
        return f"{_repository(kind, name)}/versions/@{quote(alias, safe='')}"
    name, colon, version = tag.partition(":")
    if not colon:
        raise CommandError(f"'{tag}' names no version", "say NAME:VERSION, or NAME@ALIAS")
    return f"{_repository(kind, name)}/versions/{quote(version, safe='')}"


def _deleter(kind: str) -> Any:
    def delete(
        tag: Tag,
        *,
        all_versions: Annotated[
            bool, typer.Option("--all", help="The repository with all of its versions")
        ] = False,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Put a version into the trash; refused while anything needs it, and says what."""
        from cli.client import Api

        api = Api.of(home_at(home))
        if all_versions and ":" not in tag:
            told = api.delete(_repository(kind, tag))
        else:
            told = api.delete(version_path(kind, tag))
        until = told["purge_at"][:16].replace("T", " ")
        show(
            told,
            as_json=as_json,
            human=lambda: f"{tag} is in the trash; `yokocho {kind}s undelete` until {until}",
        )

    return delete


def _restorer(kind: str) -> Any:
    def undelete(tag: Tag, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
        """Bring a version back from the trash, as it was."""
        from cli.client import Api

        told = Api.of(home_at(home)).post(f"{version_path(kind, tag)}/undelete", {})
        show(told, as_json=as_json, human=lambda: f"{tag} is back")

    return undelete


def _trash(kind: str) -> Any:
    def trash(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
        """What can still be brought back."""
        from cli.client import Api

        items = list(Api.of(home_at(home)).all("/api/registry/trash", {"kind": kind}))
        rows = [("TAG", "SIZE", "DELETED", "BY", "GONE FOR GOOD")]
        for each in items:
            tag, size = f"{each['name']}:{each['version']}", _size(each["size_bytes"])
            rows.append(
                (tag, size, each["deleted_at"][:16], each["deleted_by"], each["purge_at"][:16])
            )
        show({"items": items}, as_json=as_json, human=lambda: table(rows))

    return trash


def _keeper(kind: str) -> Any:
    def keep(
        name: Name,
        *,
        last: Annotated[int | None, typer.Option(min=1, help="So many of the newest")] = None,
        days: Annotated[int | None, typer.Option(min=0, help="Those younger than that")] = None,
        label: Annotated[
            list[str] | None, typer.Option(help="Those with KEY=VALUE; may be repeated")
        ] = None,
        off: Annotated[bool, typer.Option("--off", help="No rule: everything stays")] = False,
        dry_run: Annotated[bool, typer.Option(help="Say what would go; change nothing")] = False,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Which versions stay by themselves; the others go to the trash. Held ones always stay."""
        from cli.client import Api

        api, path = Api.of(home_at(home)), f"{_repository(kind, name)}/retention"
        if off:
            api.delete(path)
            show({}, as_json=as_json, human=lambda: f"every version of {name} stays")
            return
        if last is None and days is None:
            rule = api.get(path)
            said = {key: value for key, value in rule.items() if value}
            show(rule, as_json=as_json, human=lambda: str(said or "no rule: everything stays"))
            return
        labels = dict(each.partition("=")[::2] for each in label or [])
        body = {"keep_last": last, "keep_days": days, "keep_labels": labels}
        told = api.post(f"{path}/plan", body) if dry_run else api.put(path, body)
        rows = [("VERSION", "", "BECAUSE")]
        rows += [
            (each["version"], "goes" if each["goes"] else "stays", each["reason"])
            for each in told["items"]
        ]
        show(told, as_json=as_json, human=lambda: table(rows))

    return keep


def _gc(
    *,
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and why")] = False,
    empty: Annotated[
        bool, typer.Option(help="The whole trash, now: nothing of it can be brought back")
    ] = False,
    force: Annotated[bool, typer.Option(help="Although it is suspiciously much")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Free what nobody needs: what is due in the trash, and bytes nothing points to."""
    from cli.client import Api

    api = Api.of(home_at(home))
    if dry_run:
        plan = api.get("/api/registry/gc")
        show(plan, as_json=as_json, human=lambda: _plan(plan))
        return
    told = api.post("/api/registry/gc", {"empty": empty, "force": force})
    human = (
        f"{told['purged']} versions gone, {_size(told['marked_bytes'])} marked to go, "
        f"{_size(told['removed_bytes'])} freed"
    )
    show(told, as_json=as_json, human=lambda: human)


def _verifier(kind: str) -> Any:
    def verify(tag: Tag, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
        """Read a version's stored bytes again and compare them with its digest."""
        from cli.client import Api

        told = Api.of(home_at(home)).post(f"{version_path(kind, tag)}/verify", {})
        if not told["is_right"]:
            raise CommandError(
                f"the stored bytes of {tag} are damaged, and were put aside", "push it again"
            )
        size = _size(told["size_bytes"])
        show(told, as_json=as_json, human=lambda: f"{tag} is right: {size}, {told['digest']}")

    return verify


def _plan(plan: dict[str, Any]) -> str:
    rows = [("WHAT", "SIZE", "BECAUSE")]
    rows += [
        (f"{each['name']}:{each['version']}", _size(each["size_bytes"]), each["reason"])
        for each in plan["trash"]
    ]
    rows += [
        (each["digest"][:19], _size(each["size_bytes"]), each["reason"])
        for each in plan["unneeded"]
    ]
    others = f"\n{_size(plan['others_bytes'])} that were nobody's or others'"
    braked = "\nIt will not run: look, and use --force" if plan["braked"] else ""
    return table(rows) + (others if plan["others_bytes"] else "") + braked


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:.1f} MiB"


def _repository(kind: str, name: str) -> str:
    return f"/api/registry/{kind}s/{quote(name, safe='')}"
