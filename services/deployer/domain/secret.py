"""Values that people keep with us, and how a process gets them. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final
from uuid import UUID

from libs.contracts.identity import Person
from services.deployer.domain.config import Envs, check_envs
from services.deployer.errors import NotSupportedError, SecretInvalidError

HOME: Final = "$BENTOML_HOME"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MOST_ITEMS: Final = 100
_MOST_BYTES: Final = 256 * 1024


class Kind(StrEnum):
    ENV = "env"
    FILE = "mountfile"


class Stage(StrEnum):
    """When it is needed."""

    BUILD = "build"
    RUNTIME = "runtime"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    sub_path: str | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """Without its values: those are opened only where a process is started with them."""

    id: UUID
    org_id: UUID
    org: str
    name: str
    description: str
    kind: Kind
    stage: Stage
    path: str | None
    items: tuple[Item, ...]
    creator: Person
    created_at: datetime
    updated_at: datetime
    seq: int = 1

    @property
    def runs(self) -> bool:
        return self.stage is not Stage.BUILD

    @property
    def builds(self) -> bool:
        """Builds are given variables alone, whatever else the stage ``all`` is for."""
        return self.stage is not Stage.RUNTIME and self.kind is Kind.ENV


@dataclass(frozen=True, slots=True)
class Opened:
    """What a process is started with. Never shown, logged or stored as it is."""

    envs: Envs = ()
    files: tuple[tuple[str, str], ...] = ()
    """Paths below the process's home, and contents."""


def check(
    name: str, kind: Kind, stage: Stage, *, path: str | None, items: Sequence[tuple[Item, str]]
) -> None:
    """Raises what names the field that cannot be had."""
    if not _NAME.fullmatch(name):
        raise SecretInvalidError("name", "small letters, digits and '-', 63 at most")
    if not 1 <= len(items) <= _MOST_ITEMS:
        raise SecretInvalidError("items", f"1 to {_MOST_ITEMS} of them")
    if len({item.key for item, _ in items}) < len(items):
        raise SecretInvalidError("items", "a key is given twice")
    if sum(len(value.encode()) for _, value in items) > _MOST_BYTES:
        raise SecretInvalidError("items", f"more than {_MOST_BYTES} bytes together")
    if stage is Stage.BUILD and kind is Kind.FILE:
        raise NotSupportedError("content.type", "builds are given variables: keep it as `env`")
    if kind is Kind.ENV:
        check_envs(tuple((item.key, value) for item, value in items), where="items")
        return
    for item, _ in items:
        file_of(item, path)


def file_of(item: Item, path: str | None) -> str:
    """Where its file is, below the process's home: a process of this machine has no other place."""
    folder = (path or HOME).rstrip("/")
    below = folder.removeprefix(HOME).lstrip("/")
    if folder != HOME and not folder.startswith(f"{HOME}/"):
        raise NotSupportedError(
            "content.path", f"it must begin with {HOME}: processes share this machine's other files"
        )
    found = PurePosixPath(below) / (item.sub_path or item.key)
    if found.is_absolute() or ".." in found.parts or not found.name or "\0" in str(found):
        raise SecretInvalidError("items", f"'{item.key[:80]}' makes no path of a file")
    return str(found)


def opened(secrets: Sequence[tuple[Secret, Mapping[str, str]]]) -> Opened:
    """Later ones win over earlier ones, as in a list of variables."""
    return Opened(
        envs=tuple(_variables(secrets)),
        files=tuple(_files(secrets)),
    )


def _variables(secrets: Sequence[tuple[Secret, Mapping[str, str]]]) -> Iterator[tuple[str, str]]:
    for secret, values in secrets:
        if secret.kind is Kind.ENV and secret.runs:
            yield from ((item.key, values[item.key]) for item in secret.items)


def _files(secrets: Sequence[tuple[Secret, Mapping[str, str]]]) -> Iterator[tuple[str, str]]:
    for secret, values in secrets:
        if secret.kind is Kind.FILE and secret.runs:
            yield from ((file_of(item, secret.path), values[item.key]) for item in secret.items)
