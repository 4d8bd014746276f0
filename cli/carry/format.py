"""The file: a tar whose first member says what follows, and then each archive by its digest.

``index.json`` and then ``blobs/sha256/<hex>``, each once, in the index's order. Whoever reads it
believes nothing that the index does not say and no bytes that have another digest.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from cli.client import Readable
from cli.errors import CommandError

FORMAT: Final = 1
HUB: Final = "huggingface"
"""The registry of models whose bytes never come here."""
_INDEX: Final = "index.json"
_BLOBS: Final = "blobs/"
_LARGEST_INDEX: Final = 64 * 2**20
_PIECE: Final = 2**20
_OTHER: Final = "get another copy of it"


@dataclass(frozen=True, slots=True)
class Item:
    """One version, as it is to be made again."""

    kind: str
    name: str
    repository_description: str
    version: str
    description: str
    manifest: dict[str, Any]
    labels: dict[str, str]
    build_at: str
    aliases: list[str]
    digest: str
    size_bytes: int

    @property
    def tag(self) -> str:
        return f"{self.kind} {self.name}:{self.version}"

    @property
    def lives_elsewhere(self) -> bool:
        """On a hub: there are no bytes to carry, and no digest."""
        metadata = self.manifest.get("metadata")
        is_of_hub = isinstance(metadata, dict) and metadata.get("registry") == HUB
        return self.kind == "model" and is_of_hub


def member_of(digest: str) -> str:
    return _BLOBS + digest.replace(":", "/")


def beginning_of(items: list[Item]) -> bytes:
    """The index as a member: the file up to its first archive."""
    told = {"format": FORMAT, "items": [asdict(each) for each in items]}
    content = json.dumps(told, sort_keys=True).encode()
    return _header(_INDEX, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def header_of(item: Item) -> bytes:
    """What stands before an archive."""
    return _header(member_of(item.digest), item.size_bytes)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def write_blob(tar: tarfile.TarFile, item: Item, file: Readable) -> None:
    """Raises ``CommandError`` where the bytes are others."""
    info = tarfile.TarInfo(member_of(item.digest))
    info.size = item.size_bytes
    hashed = Hashed(file)
    tar.addfile(info, hashed)
    hashed.require(item.digest, item.size_bytes)


class Hashed:
    """A file that knows what was read from it."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._sha.update(piece)
        self._size += len(piece)
        return piece

    def has(self, digest: str, size: int) -> bool:
        return (self._digest, self._size) == (digest, size)

    def require(self, digest: str, size: int) -> None:
        if not self.has(digest, size):
            raise CommandError(
                f"{digest} has other bytes: {self._size} with {self._digest}",
                "nothing of it is used",
            )

    @property
    def _digest(self) -> str:
        return f"sha256:{self._sha.hexdigest()}"


class Reader:
    """Members are read in their order, once; ``blob`` hands out the next one that is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed by close()
            first = self._tar.next()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise CommandError(f"{path} is no export: {error}", _OTHER) from error
        try:
            self.items = self._index(first)
        except CommandError:
            self._tar.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def blobs(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Each with its digest, which still is to be compared."""
        carried = [each for each in self.items if not each.lives_elsewhere]
        wanted = {member_of(each.digest): each for each in carried}
        try:
            while (member := self._tar.next()) is not None:
                item = wanted.pop(member.name, None)
                file = self._tar.extractfile(member) if member.isreg() else None
                if item is None or file is None or member.size != item.size_bytes:
                    raise CommandError(f"{self._path} has a member that it does not name", _OTHER)
                yield item.digest, file
        except (tarfile.TarError, OSError, EOFError) as error:
            raise CommandError(f"{self._path} is damaged: {error}", _OTHER) from error
        if wanted:
            raise CommandError(f"{self._path} was cut off: {len(wanted)} archives lack", _OTHER)

    def _index(self, member: tarfile.TarInfo | None) -> list[Item]:
        if member is None or member.name != _INDEX or member.size > _LARGEST_INDEX:
            raise CommandError(f"{self._path} does not begin with an index", _OTHER)
        file = self._tar.extractfile(member)
        try:
            told = json.loads(file.read()) if file is not None else {}
            if told["format"] != FORMAT:
                raise CommandError(
                    f"{self._path} has format {told['format']}, and this command reads {FORMAT}",
                    "use the version of yokocho that wrote it, or a later one",
                )
            return [Item(**each) for each in told["items"]]
        except (ValueError, KeyError, TypeError, tarfile.TarError, OSError) as error:
            raise CommandError(f"{self._path} has an index that cannot be read", _OTHER) from error


def verify(path: Path) -> list[Item]:
    """Everything is there, and right. Raises ``CommandError``."""
    with Reader(path) as reader:
        named = {each.digest: each for each in reader.items}
        for digest, file in reader.blobs():
            if not is_right(file, named[digest]):
                raise CommandError(f"{path}: the bytes of {named[digest].tag} are damaged", _OTHER)
        return reader.items


def is_right(file: Readable, item: Item) -> bool:
    """Reads all of it."""
    hashed = Hashed(file)
    try:
        while hashed.read(_PIECE):
            pass
        hashed.require(item.digest, item.size_bytes)
    except (CommandError, tarfile.TarError, OSError, EOFError):
        return False
    return True
