"""builds verify, sbom, provenance: what others can trust an image by."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.commands.builds import followed
from cli.options import HomeOption, JsonOption, home_at, note, show

Digest = Annotated[str, typer.Argument(metavar="DIGEST", help="Of an image: sha256:…")]


def add_trust(app: typer.Typer) -> None:
    app.command("verify")(_verify)
    app.command("sbom")(_sbom)
    app.command("provenance")(_provenance)


def _verify(digest: Digest, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Who signed an image; then build it again from its provenance, and compare byte for byte.

    Exit status 1: another image came out. Whose signature is believed is a setting.
    """
    from cli.client import Api

    api = Api.of(home_at(home))
    verdict = api.get(f"{_path(digest)}/verdict")
    note(_signed(verdict))
    told = api.post(f"{_path(digest)}/verify", {})
    told = followed(api, told["id"], quiet=True)
    same = told["status"] == "built"
    answer = {"digest": digest, "same": same, "signature": verdict, "build": told}
    words = f"{digest}: the same, byte for byte" if same else f"{digest}: {told['reason']}"
    show(answer, as_json=as_json, human=lambda: words)
    if not same:
        raise typer.Exit(1)


def _sbom(digest: Digest, *, home: HomeOption = None) -> None:
    """What is inside an image: CycloneDX, on standard output."""
    _printed(digest, "sbom", home)


def _provenance(digest: Digest, *, home: HomeOption = None) -> None:
    """How an image was made: in-toto and SLSA, in its envelope where it is signed."""
    _printed(digest, "provenance", home)


def _printed(digest: str, kind: str, home: Any) -> None:
    from cli.client import Api

    for piece in Api.of(home_at(home)).content(f"{_path(digest)}/{kind}"):
        print(piece.decode(errors="replace"), end="")
    print()


def _path(digest: str) -> str:
    return f"/api/images/{quote(digest, safe=':')}"


def _signed(verdict: dict[str, Any]) -> str:
    if verdict["trusted"]:
        return f"signed by {', '.join(verdict['by'])}"
    return f"no signature that is believed: {'; '.join(verdict['reasons'])}"
