"""From the platform into a file, which appears when all of it is there."""

import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cli.carry.format import Item, write_blob, write_index
from cli.client import Api
from cli.errors import CommandError

KINDS: Final = ("model", "bento")
_PAGE: Final = 500


def export(
    api: Api,
    output: Path,
    tags: Iterable[tuple[str, str]],
    *,
    with_models: bool,
    note: Callable[[str], None],
) -> list[Item]:
    """``tags`` are kinds with ``NAME:VERSION``; models that bentos name come along."""
    if output.exists():
        raise CommandError(f"{output} exists", "name another file, or move it away")
    items = _collected(api, tags, with_models=with_models)
    partial = output.with_name(f".{output.name}.partial")
    try:
        with partial.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                write_index(tar, items)
                once = {each.digest: each for each in items}
                for number, each in enumerate(once.values(), start=1):
                    note(f"{number} of {len(once)}: {each.tag}, {each.size_bytes} bytes")
                    with api.reading(_download(each.kind, each.name, each.version)) as content:
                        write_blob(tar, each, content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(output)
    except OSError as error:
        raise CommandError(f"{output} could not be written: {error}", "make room") from error
    finally:
        partial.unlink(missing_ok=True)
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
    if told["upload_status"] != "success" or told["digest"] is None:
        raise CommandError(f"{kind} {tag} has no bytes here", "leave it out, or push it")
    return told


def _item(api: Api, kind: str, told: dict[str, Any]) -> Item:
    repository = api.get(f"/api/v1/{kind}_repositories/{quote(told['name'], safe='')}")
    return Item(
        kind=kind,
        name=told["name"],
        repository_description=repository["description"],
        version=told["version"],
        description=told["description"],
        manifest=told["manifest"],
        labels=told["labels"],
        build_at=told["build_at"],
        aliases=told["aliases"],
        digest=told["digest"],
        size_bytes=told["size_bytes"],
    )


def _download(kind: str, name: str, version: str) -> str:
    top = f"/api/v1/{kind}_repositories/{quote(name, safe='')}"
    return f"{top}/{kind}s/{quote(version, safe='')}/download"
