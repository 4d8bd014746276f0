"""From the platform into a file."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cli.carry.format import Item
from cli.carry.progress import Shown
from cli.carry.writing import require_free, write
from cli.client import Api, Readable
from cli.errors import CommandError

KINDS: Final = ("model", "bento")
_PAGE: Final = 500


def export(
    api: Api, output: Path, tags: Iterable[tuple[str, str]], *, with_models: bool, shown: Shown
) -> list[Item]:
    """``tags`` are kinds with ``NAME:VERSION``; models that bentos name come along."""
    require_free(output)
    items = _collected(api, tags, with_models=with_models)

    def fetch(item: Item) -> AbstractContextManager[Readable]:
        return api.reading(_download(item.kind, item.name, item.version))

    write(output, items, fetch, shown=shown)
    return items


def everything(api: Api, kind: str) -> list[tuple[str, str]]:
    """Tags of all uploaded versions, oldest first: so they come in in their order."""
    found = api.all(f"/api/registry/{kind}s", {"count": str(_PAGE)})
    return [(kind, f"{each['name']}:{each['version']}") for each in found][::-1]


def _collected(api: Api, tags: Iterable[tuple[str, str]], *, with_models: bool) -> list[Item]:
    """Models before the bentos that need them; each once."""
    items: dict[tuple[str, str], Item] = {}

    def add(kind: str, tag: str) -> None:
        if (kind, tag) in items:
            return
        told = _described(api, kind, tag)
        for model in told.get("models", []) if with_models else []:
            add("model", model)
        items[kind, tag] = _item(api, kind, told)

    for kind, tag in tags:
        add(kind, tag)
    return list(items.values())


def _described(api: Api, kind: str, tag: str) -> dict[str, Any]:
    name, _, version = tag.partition(":")
    path = f"/api/registry/{kind}s/{quote(name, safe='')}/versions/{quote(version, safe='')}"
    told: dict[str, Any] = api.get(path)
    return told


def _item(api: Api, kind: str, told: dict[str, Any]) -> Item:
    repository = api.get(f"/api/v1/{kind}_repositories/{quote(told['name'], safe='')}")
    item = Item(
        kind=kind,
        name=told["name"],
        repository_description=repository["description"],
        version=told["version"],
        description=told["description"],
        manifest=told["manifest"],
        labels=told["labels"],
        build_at=told["build_at"],
        aliases=told["aliases"],
        digest=told["digest"] or "",
        size_bytes=told["size_bytes"],
    )
    if told["upload_status"] != "success" or not (item.digest or item.lives_elsewhere):
        raise CommandError(f"{item.tag} has no bytes here", "leave it out, or push it")
    return item


def _download(kind: str, name: str, version: str) -> str:
    top = f"/api/v1/{kind}_repositories/{quote(name, safe='')}"
    return f"{top}/{kind}s/{quote(version, safe='')}/download"
