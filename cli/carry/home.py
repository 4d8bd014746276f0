"""A BentoML home: what the client would push from it, made as the client makes it."""

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, Final

from cli.carry.described import Description, bento_in, model_in, readme_of, size_of
from cli.carry.format import HUB, Item
from cli.carry.progress import Shown
from cli.carry.sources import Broken, Content
from cli.errors import CommandError

_PIECE: Final = 2**20
_MODELS: Final = "models"


@dataclass(frozen=True, slots=True)
class _Folder:
    """Of one version."""

    kind: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.parent.name

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.path.name}"


class HomeSource:
    """``bentos/NAME/VERSION`` and ``models/NAME/VERSION``; bentos of old clients bring models."""

    def __init__(self, root: Path, *, kinds: tuple[str, ...], match: str) -> None:
        if not any((root / kind).is_dir() for kind in ("bentos", _MODELS)):
            raise CommandError(
                f"{root} is no BentoML home: it has neither bentos nor models",
                "name the folder that $BENTOML_HOME says, or ~/bentoml",
            )
        self._root = root
        self._kinds = kinds
        self._match = match

    def count(self) -> int:
        return len(self._listed)

    def items(self) -> Iterator[tuple[Item, Content] | Broken]:
        """Models first, as bentos need them; each kind oldest first, as they came to be."""
        yield from self._listed

    @cached_property
    def _listed(self) -> list[tuple[Item, Content] | Broken]:
        return [
            each
            for kind in self._kinds
            for each in sorted(map(self._found, self._folders(kind)), key=_age)
        ]

    def _found(self, folder: _Folder) -> tuple[Item, Content] | Broken:
        try:
            return self._item(folder), partial(_packed, folder)
        except CommandError as error:
            return Broken(f"{folder.kind} {folder.tag}", error.trouble)
        except (OSError, UnicodeDecodeError) as error:
            return Broken(f"{folder.kind} {folder.tag}", f"it cannot be read: {error}")

    def _folders(self, kind: str) -> list[_Folder]:
        bentos = _versions(self._root / "bentos")
        if kind == "bento":
            found = [_Folder(kind, each) for each in bentos]
        else:
            homes = [self._root, *bentos]
            named = [_Folder(kind, each) for home in homes for each in _versions(home / _MODELS)]
            found = list({each.tag: each for each in reversed(named)}.values())[::-1]
        return [each for each in found if fnmatchcase(each.name, self._match)]

    def _item(self, folder: _Folder) -> Item:
        if folder.path.is_symlink():
            raise CommandError("it is a symbolic link: what it leads to is imported where it lies")
        if folder.kind == "model":
            model = model_in(folder.path)
            return _made(folder, model, model.manifest(size_bytes=size_of(folder.path)))
        bento = bento_in(folder.path)
        size = size_of(folder.path) + self._beside(folder, bento.needed)
        made = _made(folder, bento, bento.manifest(size_bytes=size))
        return replace(made, description=readme_of(folder.path))

    def _beside(self, folder: _Folder, needed: dict[str, str]) -> int:
        """Bytes of the models that this home has for a bento that does not have them itself.

        Looked for among what is there: a tag is whatever a bento says, and no path.
        """
        own = _by_tag(folder.path / _MODELS)
        tags = {tag for tag, registry in needed.items() if registry != HUB} - own.keys()
        return sum(size_of(path) for tag, path in self._models.items() if tag in tags)

    @cached_property
    def _models(self) -> dict[str, Path]:
        return _by_tag(self._root / _MODELS)


def _age(found: tuple[Item, Content] | Broken) -> str:
    return "" if isinstance(found, Broken) else found[0].build_at


def _versions(top: Path) -> list[Path]:
    """Folders of versions, by name. ``latest`` beside them says what a push does not ask."""
    try:
        names = sorted(each for each in top.iterdir() if each.is_dir()) if top.is_dir() else []
        return [
            version
            for name in names
            for version in sorted(name.iterdir())
            if version.name != "latest" and version.is_dir()
        ]
    except OSError as error:
        raise CommandError(f"{error.filename or top} cannot be read: {error.strerror}") from error


def _by_tag(top: Path) -> dict[str, Path]:
    return {_Folder("model", each).tag: each for each in _versions(top)}


def _made(folder: _Folder, said: Description, manifest: dict[str, Any]) -> Item:
    if f"{said.name}:{said.version}" != folder.tag:
        raise CommandError(f"its description is that of {said.name}:{said.version}")
    return Item(
        kind=folder.kind,
        name=said.name,
        repository_description="",
        version=said.version,
        description="",
        manifest=manifest,
        labels=said.said_labels,
        build_at=said.build_at,
        aliases=[],
        digest="",
        size_bytes=0,
    )


@contextmanager
def _packed(folder: _Folder, shown: Shown) -> Iterator[IO[bytes]]:
    """Byte for byte what the client packs: sorted, with the times and owners that files have."""
    shown.begin(f"packing {folder.tag}")
    with tempfile.TemporaryFile() as file:
        try:
            with tarfile.open(fileobj=file, mode="w") as tar:
                tar.add(folder.path, arcname="./", filter=_sent(folder.kind))
            file.seek(0)
            _require_accepted(file, f"{folder.kind}.yaml")
        except (OSError, tarfile.TarError) as error:
            raise CommandError(f"it cannot be packed: {error}") from error
        file.seek(0)
        yield file


def _sent(kind: str) -> Callable[[tarfile.TarInfo], tarfile.TarInfo | None]:
    """All of a model; of a bento all but the models in it, which are versions of their own."""

    def kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        inside = info.name == f"./{_MODELS}" or info.name.startswith(f"./{_MODELS}/")
        return None if kind == "bento" and inside else info

    return kept


def _require_accepted(file: IO[bytes], description: str) -> None:
    """Asked here already, by the registry's own rules: gigabytes are not sent to be refused."""
    from services.registry.archive import ArchiveWalk
    from services.registry.errors import ArchiveRefusedError

    walk = ArchiveWalk(description)
    try:
        while piece := file.read(_PIECE):
            walk.feed(piece)
        walk.finish()
    except ArchiveRefusedError as error:
        raise CommandError(f"the registry would refuse it: {error}") from error
