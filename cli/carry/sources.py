"""Where versions come from: a file of ours, or a Yatai that still runs."""

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, partial
from http.client import HTTPException, IncompleteRead
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import quote, urlsplit

from cli.carry.format import Item, Reader, is_right
from cli.carry.progress import Shown
from cli.errors import CommandError

_PAGE: Final = 100
_PIECE: Final = 2**20
_SECONDS: Final = 120


Content = Callable[[Shown], AbstractContextManager[IO[bytes]]]
"""Comes by the bytes, which takes time. Raises ``CommandError`` where there are none."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A version that cannot be carried, and why."""

    tag: str
    why: str


class Source(Protocol):
    def count(self) -> int:
        """Of versions, broken ones too."""

    def items(self) -> Iterator[tuple[Item, Content] | Broken]:
        """Each version; its bytes are asked for before the next one is, or not at all."""


class FileSource:
    def __init__(self, path: Path, *, kinds: tuple[str, ...], match: str) -> None:
        self._path = path
        self._kinds = kinds
        self._match = match

    def count(self) -> int:
        with Reader(self._path) as reader:
            return len(self._wanted(reader))

    def items(self) -> Iterator[tuple[Item, Content] | Broken]:
        """In the order of the file. Read twice: hashed first, so that nothing wrong is sent."""
        with Reader(self._path) as reader:
            named: dict[str, list[Item]] = {}
            for each in self._wanted(reader):
                if each.lives_elsewhere:
                    yield each, partial(_open, BytesIO())
                else:
                    named.setdefault(each.digest, []).append(each)
            for digest, file in reader.blobs():
                wanted = named.get(digest, [])
                right = bool(wanted) and is_right(file, wanted[0])
                for item in wanted:
                    if right:
                        yield item, partial(_open, file)
                    else:
                        yield Broken(item.tag, "its bytes in the file are damaged")

    def _wanted(self, reader: Reader) -> list[Item]:
        return [
            each
            for each in reader.items
            if each.kind in self._kinds and fnmatchcase(each.name, self._match)
        ]


@contextmanager
def _open(file: IO[bytes], _: Shown) -> Iterator[IO[bytes]]:
    """It stays so: others may have the same bytes."""
    yield file


class YataiSource:
    """Through its own API. The token goes to its host and to no other."""

    def __init__(
        self, url: str, token: str, *, organization: str | None, kinds: tuple[str, ...], match: str
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-YATAI-API-TOKEN": token, "X-Bentoml-Version": "1.4.0"}
        if organization:
            self._headers["X-Yatai-Organization"] = organization
        self._kinds = kinds
        self._match = match

    def count(self) -> int:
        return len(self._listed)

    def items(self) -> Iterator[tuple[Item, Content] | Broken]:
        for item, path in self._listed:
            yield item, partial(self._content, path)

    @cached_property
    def _listed(self) -> list[tuple[Item, str]]:
        """Everything with its path, before the first is fetched: a token that is wrong says so."""
        found = []
        for kind in self._kinds:
            for repository in self._pages(f"/api/v1/{kind}_repositories"):
                if not fnmatchcase(repository["name"], self._match):
                    continue
                path = f"/api/v1/{kind}_repositories/{quote(repository['name'], safe='')}/{kind}s"
                for version in reversed(list(self._pages(path))):
                    if version["upload_status"] == "success":
                        item = _from_wire(kind, repository, version)
                        found.append((item, f"{path}/{quote(item.version, safe='')}"))
        return found

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        start = 0
        while True:
            told = self._json("GET", f"{path}?start={start}&count={_PAGE}")
            yield from told["items"]
            start += len(told["items"])
            if not told["items"] or start >= told["total"]:
                return

    @contextmanager
    def _content(self, path: str, shown: Shown) -> Iterator[IO[bytes]]:
        """A file on this machine: what is sent on must have a length, and may be sent again."""
        url = self._json("PATCH", f"{path}/presign_download_url").get("presigned_download_url")
        with tempfile.TemporaryFile() as file:
            if url:
                _fetch(url, file, headers={}, shown=shown)
            else:
                url = f"{self._url}{path}/download"
                _fetch(url, file, headers=self._headers, shown=shown)
            file.seek(0)
            yield file

    def _json(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the address that the user named
            f"{self._url}{path}", method=method, headers=self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            with error:
                raise CommandError(
                    f"{method} {path} of {self._url} answers {error.code}",
                    "is the token right, and may it read this organisation?",
                ) from error
        except (OSError, ValueError) as error:
            raise CommandError(f"{self._url} does not answer: {error}", "is it a Yatai?") from error


def _fetch(url: str, file: IO[bytes], *, headers: dict[str, str], shown: Shown) -> None:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise CommandError(f"{url[:80]} is no address to download from", "look at the Yatai")
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
            shown.begin("from the Yatai", answer.length)
            while piece := answer.read(_PIECE):
                file.write(piece)
                shown.advance(len(piece))
            if answer.length:
                raise IncompleteRead(b"", answer.length)
    except (OSError, HTTPException) as error:
        raise CommandError(f"a download broke off: {error}", "import again: it goes on") from error


def _from_wire(kind: str, repository: dict[str, Any], version: dict[str, Any]) -> Item:
    return Item(
        kind=kind,
        name=repository["name"],
        repository_description=repository.get("description") or "",
        version=version["version"],
        description=version.get("description") or "",
        manifest=version.get("manifest") or {},
        labels={each["key"]: each["value"] for each in version.get("labels") or []},
        build_at=version["build_at"],
        aliases=[],
        digest="",
        size_bytes=0,
    )
