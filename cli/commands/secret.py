"""secrets: values for deployments and builds, kept sealed; and the keys that seal them."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show, table

_BASE: Final = "/api/v1/org_secrets"
app: Final = typer.Typer(
    name="secrets", help="Values for deployments and builds, kept sealed", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="Name of the secret")]
Items = Annotated[
    list[str],
    typer.Argument(
        metavar="KEY=VALUE...", help="KEY=@FILE takes a file's content, KEY=- what is piped in"
    ),
]
AsFiles = Annotated[bool, typer.Option("--files", help="Files of the process instead of variables")]
PathOption = Annotated[
    str | None, typer.Option("--path", help="Folder of the files, below $BENTOML_HOME")
]


class Stage(StrEnum):
    BUILD = "build"
    RUNTIME = "runtime"
    ALL = "all"


StageOption = Annotated[
    Stage, typer.Option("--stage", "-s", help="Who gets it: builds, processes, or both")
]


@app.command("list")
def every(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Names and keys; values are never shown."""
    from cli.client import Api

    found = Api.of(home_at(home)).get(_BASE)
    rows = [("NAME", "TYPE", "STAGE", "KEYS", "UPDATED")]
    for each in found["items"]:
        content = each["content"]
        keys = ", ".join(item["key"] for item in content["items"])
        rows.append(
            (each["name"], content["type"], content["stage"], keys, each["updated_at"][:19])
        )
    show(found, as_json=as_json, human=lambda: table(rows))


@app.command()
def create(
    name: Name,
    items: Items,
    *,
    files: AsFiles = False,
    path: PathOption = None,
    stage: StageOption = Stage.RUNTIME,
    description: Annotated[str, typer.Option("--description", "-d")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep values under a name, for `bentoml deploy --secret NAME` and `yokocho build --secret`."""
    from cli.client import Api

    body = {
        "name": name,
        "description": description,
        "content": _content(items, files=files, path=path, stage=stage),
    }
    made = Api.of(home_at(home)).post(_BASE, body)
    show(made, as_json=as_json, human=lambda: f"secret {name} is kept")


@app.command()
def apply(
    name: Name,
    items: Items,
    *,
    files: AsFiles = False,
    path: PathOption = None,
    stage: Annotated[
        Stage | None, typer.Option("--stage", "-s", help="Left out, as it was")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace all values; processes take them when they start."""
    from cli.client import Api

    api, at = Api.of(home_at(home)), f"{_BASE}/{quote(name, safe='')}"
    stage = stage or Stage(api.get(at)["content"]["stage"])
    made = api.patch(at, {"content": _content(items, files=files, path=path, stage=stage)})
    show(made, as_json=as_json, human=lambda: f"secret {name} has new values")


@app.command()
def delete(name: Name, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Forget it; refused while a deployment may need it."""
    from cli.client import Api

    Api.of(home_at(home)).delete(f"{_BASE}/{quote(name, safe='')}")
    show({"deleted": name}, as_json=as_json, human=lambda: f"secret {name} is gone")


@app.command()
def rotate(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Seal everything with a new key, and forget the old one. Interrupted, begin it again."""
    from cli.client import Api
    from libs.chassis.sealing import add_sealing_key, drop_older_keys

    place = home_at(home)
    api, file = Api.of(place), place.sealing_keys
    if not file.exists():
        raise CommandError(f"there is no {file}", "`yokocho up` makes it")
    key = add_sealing_key(file)
    told = api.post("/api/secrets/rotate")
    if told["key"] != key:
        raise CommandError(
            "the platform seals with another key than this home's",
            "is YOKOCHO_DEPLOYER_SECRET_KEYS set? put a new key first there, and ask again",
        )
    dropped = drop_older_keys(file)
    told |= {"dropped": dropped}
    show(
        told,
        as_json=as_json,
        human=lambda: f"{told['secrets']} secrets sealed with a new key; {dropped} older forgotten",
    )


def _content(items: list[str], *, files: bool, path: str | None, stage: Stage) -> dict[str, Any]:
    pairs = [_pair(each) for each in items]
    return {
        "type": "mountfile" if files else "env",
        "items": [{"key": key, "value": value} for key, value in pairs],
        "path": path,
        "stage": stage.value,
    }


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise CommandError(f"'{key[:40]}' has no value", "say KEY=VALUE, KEY=@FILE or KEY=-")
    if value == "-":
        return key, sys.stdin.read()
    if not value.startswith("@"):
        return key, value
    try:
        return key, Path(value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{value[1:]} cannot be read as text: {error}", "") from error
