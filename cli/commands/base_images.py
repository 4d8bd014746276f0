"""base-images: what images of bentos are built on, pulled or imported once and pinned."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, show, table

_TOP: Final = "/api/base-images"
_MIB: Final = 2**20
Reference = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="What bentos call it, such as python:3.11-slim")
]
app: Final = typer.Typer(
    name="base-images", help="Images that bentos are built on, pinned by their digests."
)


@app.command("list")
def all_of_them(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Those that are pinned, for which platform, and where they came from."""
    from cli.client import Api

    told = Api.of(home_at(home)).get(_TOP)
    show(told, as_json=as_json, human=lambda: _listed(told["items"]))


@app.command()
def pull(
    reference: Reference,
    *,
    platform: Annotated[
        list[str] | None, typer.Option(help="linux/amd64, linux/arm64; may be repeated")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pin what a name means now, where it is published. Again, to have a newer one."""
    from cli.client import Api

    body: dict[str, Any] = {"reference": reference}
    if platform:
        body["platforms"] = platform
    told = Api.of(home_at(home)).post(f"{_TOP}/pull", body, patient=True)
    show(told, as_json=as_json, human=lambda: _pinned(told["items"]))


@app.command("import")
def bring(
    reference: Reference,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, help="OCI image layout (folder or tar) or docker archive (`docker save`)"
        ),
    ],
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pin what a file holds, where no network leads to a registry."""
    from cli.client import Api

    api = Api.of(home_at(home))
    with _as_file(file) as packed, packed.open("rb") as opened:
        size = packed.stat().st_size
        told = api.send(f"{_TOP}/import", opened, size, params={"reference": reference})
    show(told, as_json=as_json, human=lambda: _pinned(told["items"]))


@app.command()
def forget(reference: Reference, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Unpin it. Images that were built on it stay as they are."""
    from cli.client import Api

    told = Api.of(home_at(home)).delete(_TOP, params={"reference": reference})
    show(told, as_json=as_json, human=lambda: f"{reference} is pinned no more")


@contextmanager
def _as_file(given: Path) -> Iterator[Path]:
    """A folder is packed first; next to it nothing is written."""
    if given.is_file():
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "layout.tar")
        done = subprocess.run(
            ["tar", "--create", "--file", str(packed), "--directory", str(given), "."],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            check=False,
        )
        if done.returncode:
            raise CommandError(f"{given} cannot be packed: {done.stderr.decode().strip()}", "")
        yield packed


def _listed(items: list[dict[str, Any]]) -> str:
    if not items:
        return "none; the first build that needs one pulls it, or say `yokocho base-images import`"
    rows = [("REFERENCE", "PLATFORM", "DIGEST", "BY", "PINNED")]
    rows += [
        (
            each["reference"],
            each["platform"],
            each["digest"],
            each["source"],
            each["pinned_at"][:16].replace("T", " "),
        )
        for each in items
    ]
    return table(rows)


def _pinned(items: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{each['reference']} for {each['platform']} is {each['digest']}: "
        f"{each['libc'] or 'no known libc'}, Python {', '.join(each['pythons']) or 'none'}, "
        f"{each['size_bytes'] / _MIB:.0f} MiB"
        for each in items
    )
