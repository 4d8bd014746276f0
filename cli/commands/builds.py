"""build, builds: images of bentos, made, followed to their end, listed, cancelled, pruned."""

import json
import os
import re
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli.errors import CommandError
from cli.options import FollowOption, HomeOption, JsonOption, harmless, home_at, note, show, table

_BUILDS: Final = "/api/builds"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN: Final = 50
_MIB: Final = 2**20
Which = Annotated[
    str, typer.Argument(metavar="BUILD", help="Id of a build, or a bento: the latest of it")
]
app: Final = typer.Typer(name="builds", help="Builds: how they went, and what they said.")


def build(
    bento: Annotated[
        str, typer.Argument(metavar="BENTO", help="NAME:VERSION, or NAME: the latest")
    ],
    *,
    strategy: Annotated[
        str | None, typer.Option(help="How: assemble, … Left out, the plan chooses and says why")
    ] = None,
    platform: Annotated[
        list[str] | None, typer.Option(help="linux/amd64, linux/arm64; may be repeated")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="A secret of stage build or all that it is given; may be repeated"),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Make every layer anew")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a container image of a bento, and show its log until it is there.

    Ctrl-C stops showing, not building. Exit status 1: the build failed or was cancelled.
    """
    from cli.client import Api

    api = Api.of(home_at(home))
    body = {
        "bento": bento,
        "strategy": strategy,
        "platforms": platform or [],
        "no_cache": no_cache,
        "secrets": secret or [],
    }
    told = api.post(_BUILDS, body)
    if detach:
        hint = f"{told['id']}\n`yokocho builds logs -f {told['id']}` shows how it goes"
        show(told, as_json=as_json, human=lambda: hint)
        return
    note(f"build {told['id']} of {told['bento']}")
    told = followed(api, told["id"], quiet=as_json)
    show(told, as_json=as_json, human=lambda: _described(told))
    if told["status"] != "built":
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def builds(context: typer.Context, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What was built, from what, how it ended."""
    if context.invoked_subcommand is None:
        every(home=home, as_json=as_json)
        return
    if home is not None:
        os.environ["YOKOCHO_HOME"] = str(home)  # `builds --home X prune` is of X, as it was
    context.default_map = {context.invoked_subcommand: {"as_json": as_json}}


@app.command("list")
def every(
    *,
    bento: Annotated[str, typer.Option(help="NAME or NAME:VERSION")] = "",
    status: Annotated[str, typer.Option(help="queued, running, built, failed, cancelled")] = "",
    kind: Annotated[str, typer.Option(help="environment or oci")] = "",
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many at most")] = _SHOWN,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Builds, newest first."""
    from cli.client import Api

    sought = {"bento": bento, "status": status, "kind": kind, "count": str(count)}
    found = Api.of(home_at(home)).get(_BUILDS, sought)
    show(found, as_json=as_json, human=lambda: _overview(found["items"]))


@app.command("show")
def one(which: Which, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One build: why it is made that way, its steps, its image or why there is none."""
    from cli.client import Api

    api = Api.of(home_at(home))
    told = api.get(_path(_found(api, which)))
    show(told, as_json=as_json, human=lambda: _described(told))


@app.command()
def logs(
    which: Which,
    *,
    follow: FollowOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a build said; --follow goes on until it ends."""
    from cli.client import Api

    api = Api.of(home_at(home))
    build_id = _found(api, which)
    params = {"follow": "true" if follow else None}
    for line in api.lines(f"{_path(build_id)}/log", params, headers={"Accept": "text/plain"}):
        told = {"build": build_id, "line": line}
        print(json.dumps(told) if as_json else harmless(line), flush=True)


@app.command()
def cancel(which: Which, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """End a build before its time. What it has pushed already serves later builds."""
    from cli.client import Api

    api = Api.of(home_at(home))
    build_id = _found(api, which)
    told = api.post(f"{_path(build_id)}/cancel", {})
    show(told, as_json=as_json, human=lambda: _cancelled(told))


@app.command()
def prune(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Remove the images of this machine that no deployment needs."""
    from cli.client import Api

    told = Api.of(home_at(home)).post(f"{_BUILDS}/prune")
    freed = f"{len(told['removed'])} removed, {told['freed_bytes'] / _MIB:.1f} MiB freed"
    gone = "\n".join([*told["removed"], freed])
    show(told, as_json=as_json, human=lambda: gone)


def _found(api: Any, which: str) -> str:
    """Id of the build; of a bento's latest one."""
    if _ID.fullmatch(which):
        return which
    items = api.get(_BUILDS, {"bento": which, "count": "1"})["items"]
    if not items:
        raise CommandError(f"there is no build of {which}", "`yokocho builds` lists all of them")
    return str(items[0]["id"])


def _path(build_id: str) -> str:
    return f"{_BUILDS}/{quote(build_id, safe='')}"


def followed(api: Any, build_id: str, *, quiet: bool) -> Any:
    """How the build ended; what it says meanwhile is shown, unless ``quiet``."""
    from cli.following import follow

    show_line = (lambda _: None) if quiet else (lambda line: print(harmless(line), flush=True))
    try:
        return follow(api, _path(build_id), show_line)
    except KeyboardInterrupt:
        note(
            f"\nthe build goes on: `yokocho builds logs -f {build_id}` shows it again, "
            f"`yokocho builds cancel {build_id}` ends it"
        )
        raise


def _cancelled(told: dict[str, Any]) -> str:
    ended = told["status"] == "cancelled"
    return f"build {told['id']} {'is' if ended else 'is being'} cancelled"


def _overview(found: list[dict[str, Any]]) -> str:
    rows = [("BUILD", "BENTO", "KIND", "STATUS", "STRATEGY", "TOOK", "ASKED FOR")]
    rows += [
        (
            each["id"],
            each["bento"],
            each["kind"],
            each["status"],
            each["strategy"] or "",
            _seconds(each["seconds"]),
            each["created_at"][:19].replace("T", " "),
        )
        for each in found
    ]
    return table(rows)


def _described(told: dict[str, Any]) -> str:
    """All that is known, a line for each thing."""
    lines = [("build", told["id"]), ("bento", told["bento"]), ("status", _status(told))]
    if told["strategy"]:
        lines += [("strategy", told["strategy"]), *(("", f"- {why}") for why in told["why"])]
    for number, step in enumerate(told["steps"]):
        shown = f"{_seconds(step['seconds']):>9}  {step['name']}"
        lines.append(("" if number else "steps", shown))
    if told["status"] == "built":
        lines += [("image", told["uri"] or ""), ("digest", told["image_digest"] or "")]
    reason = [harmless(line) for line in (told["reason"] or "").splitlines()]
    return "\n".join([*(f"{name:<9} {harmless(text)}".rstrip() for name, text in lines), *reason])


def _status(told: dict[str, Any]) -> str:
    match told["status"]:
        case "built" if told["reused"]:
            return "built: the image was there already"
        case "built":
            return f"built in {_seconds(told['seconds'])}"
        case "failed":
            return f"failed: {told['code']}"
    return str(told["status"])


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"
