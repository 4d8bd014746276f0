"""Into the platform: what is there already is left alone, what is there otherwise is said."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cli.carry.format import Item
from cli.carry.progress import Metered, Shown
from cli.carry.sources import Broken, Content, Source
from cli.client import Api
from cli.errors import CommandError


@dataclass
class Outcome:
    """Tags by what became of them; ``failed`` with the reasons."""

    pushed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def said(self) -> str:
        return (
            f"{len(self.pushed)} imported, {len(self.skipped)} were here already, "
            f"{len(self.failed)} failed"
        )


def bring(api: Api, source: Source, *, force: bool, shown: Shown) -> Outcome:
    """Idempotent: begun again, it goes on where it was. One that fails keeps no other back."""
    outcome = Outcome()
    shown.expect(source.count())
    for each in source.items():
        tag = each.tag if isinstance(each, Broken) else each[0].tag
        try:
            pushed = _brought(api, each, force=force, shown=shown)
        except CommandError as error:
            outcome.failed[tag] = error.trouble
            shown.say(f"{tag}: {error.trouble}")
            continue
        finally:
            shown.step()
        (outcome.pushed if pushed else outcome.skipped).append(tag)
        shown.line(f"{tag}: {'imported' if pushed else 'is here already'}")
    return outcome


def _brought(
    api: Api, version: tuple[Item, Content] | Broken, *, force: bool, shown: Shown
) -> bool:
    if isinstance(version, Broken):
        raise CommandError(version.why)
    item, content = version
    there = _there(api, item)
    if there is not None and there["upload_status"] == "success" and not force:
        if item.digest not in {"", there["digest"]}:
            raise CommandError("it is here with other bytes", "--force replaces them")
        _point(api, item)
        return False
    if item.lives_elsewhere:
        _described(api, item, there)
    else:
        _sent(api, item, content, there=there, shown=shown)
    _point(api, item)
    return True


def _sent(
    api: Api, item: Item, content: Content, *, there: dict[str, Any] | None, shown: Shown
) -> None:
    """The bytes first: nothing is said of a version that there are none of."""
    top = f"/api/v1/{item.kind}_repositories/{quote(item.name, safe='')}/{item.kind}s"
    with content(shown) as file:
        _described(api, item, there)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        shown.begin(item.tag, size)
        sent = Metered(file, shown.advance)
        api.upload(f"{top}/{quote(item.version, safe='')}/upload", sent, size)


def _described(api: Api, item: Item, there: dict[str, Any] | None) -> None:
    top = f"/api/v1/{item.kind}_repositories"
    repository = {"name": item.name, "description": item.repository_description}
    api.post(top, repository)
    labels = [{"key": key, "value": value} for key, value in item.labels.items()]
    body = {"description": item.description, "manifest": item.manifest, "labels": labels}
    many = f"{top}/{quote(item.name, safe='')}/{item.kind}s"
    if there is None:
        api.post(many, {**body, "version": item.version, "build_at": item.build_at})
    else:
        api.patch(f"{many}/{quote(item.version, safe='')}", body)


def _there(api: Api, item: Item) -> dict[str, Any] | None:
    for each in _found(api, item):
        return each
    return None


def _found(api: Api, item: Item) -> Iterator[dict[str, Any]]:
    path = f"/api/registry/{item.kind}s/{quote(item.name, safe='')}"
    told = api.maybe(f"{path}/versions/{quote(item.version, safe='')}")
    if told is not None:
        yield told


def _point(api: Api, item: Item) -> None:
    """Aliases that mean nothing yet; one that means something else was moved on purpose."""
    path = f"/api/registry/{item.kind}s/{quote(item.name, safe='')}/aliases"
    if item.aliases:
        known = {each["name"] for each in api.get(path)["items"]}
        for alias in set(item.aliases) - known:
            body = {"version": item.version, "expected": None}
            api.put(f"{path}/{quote(alias, safe='')}", body)
