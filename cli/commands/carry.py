"""export, import: versions between installations, and from a Yatai."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show

if TYPE_CHECKING:
    from cli.carry import Source

_KINDS: Final = ("model", "bento")
_OTHERS: Final = 2
"""Sources that are not named where one is."""


def export(
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME:VERSION]...", help="Bentos by tag")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write")],
    models: Annotated[bool, typer.Option("--models", help="All models")] = False,
    bentos: Annotated[bool, typer.Option("--bentos", help="All bentos")] = False,
    with_models: Annotated[bool, typer.Option(help="Also the models that the bentos need")] = True,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bentos and models in one file that can be verified and imported elsewhere."""
    from cli.carry.export import everything
    from cli.carry.export import export as write
    from cli.carry.progress import shown
    from cli.client import Api

    api = Api.of(home_at(home))
    wanted = [("bento", each) for each in tags or []]
    wanted += everything(api, "model") if models else []
    wanted += everything(api, "bento") if bentos else []
    if not wanted:
        raise CommandError("nothing is named", "say NAME:VERSION, --models or --bentos")
    with shown() as watcher:
        items = write(api, output, wanted, with_models=with_models, shown=watcher)
    told = {"file": str(output), "versions": [each.tag for each in items]}
    show(told, as_json=as_json, human=lambda: f"{output}: {len(items)} versions")


def bring(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="What `yokocho export` wrote")
    ] = None,
    *,
    yatai: Annotated[str | None, typer.Option(help="URL of a Yatai to import from")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="YATAI_API_TOKEN", help="API token of that Yatai")
    ] = None,
    organization: Annotated[str | None, typer.Option(help="Which one of that Yatai")] = None,
    bentoml_home: Annotated[
        Path | None, typer.Option(help="Folder of a BentoML client, as ~/bentoml")
    ] = None,
    only: Annotated[str | None, typer.Option(help="models or bentos")] = None,
    match: Annotated[str, typer.Option(help="Names of repositories, as `iris*`")] = "*",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the file; import nothing")
    ] = False,
    force: Annotated[bool, typer.Option(help="Replace versions that have other bytes")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in an export, what a Yatai has, or a BentoML home. Begun again, it goes on."""
    from cli.carry import bring as carry
    from cli.carry.progress import shown
    from cli.client import Api

    if [file, yatai, bentoml_home].count(None) != _OTHERS or (yatai is not None and not token):
        raise CommandError(
            "name a file, --bentoml-home, or --yatai with its URL and --token", "one of the three"
        )
    if verify:
        _verify(file, as_json=as_json)
        return
    there = (yatai or "", token or "", organization)
    source = _source(file, bentoml_home, there, kinds=_kinds(only), match=match)
    with shown() as watcher:
        outcome = carry(Api.of(home_at(home)), source, force=force, shown=watcher)
    show(asdict(outcome), as_json=as_json, human=outcome.said)
    if outcome.failed:
        raise typer.Exit(1)


def _source(
    file: Path | None,
    bentoml_home: Path | None,
    yatai: tuple[str, str, str | None],
    *,
    kinds: tuple[str, ...],
    match: str,
) -> "Source":
    from cli.carry import FileSource, HomeSource, YataiSource

    if file is not None:
        return FileSource(file, kinds=kinds, match=match)
    if bentoml_home is not None:
        return HomeSource(bentoml_home.expanduser(), kinds=kinds, match=match)
    url, token, organization = yatai
    return YataiSource(url, token, organization=organization, kinds=kinds, match=match)


def _verify(file: Path | None, *, as_json: bool) -> None:
    from cli.carry.format import verify

    if file is None:
        raise CommandError("--verify checks a file, and none is named", "name what was exported")
    items = verify(file)
    told = {"file": str(file), "versions": [each.tag for each in items]}
    show(told, as_json=as_json, human=lambda: f"{file} is right: {len(items)} versions")


def _kinds(only: str | None) -> tuple[str, ...]:
    known = {None: _KINDS, "models": _KINDS[:1], "bentos": _KINDS[1:]}
    if only not in known:
        raise CommandError(f"--only is `models` or `bentos`, not '{only}'", "")
    return known[only]
