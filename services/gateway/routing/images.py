"""What a request to the registry of images needs, in the words of Docker's token protocol."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

PREFIX: Final = "/v2/"
SERVICE: Final = "yokocho"
_REPOSITORY: Final = "repository"
_PULL: Final = "pull"
_PUSH: Final = "push"
_DELETE: Final = "delete"
_ACTIONS: Final = (_PULL, _PUSH, _DELETE)
_NAME: Final = re.compile(r"[a-z0-9._/-]{1,255}")
_MOST: Final = 10
"""Scopes of a token: it has to fit into a header."""


class Scope(BaseModel):
    """What may be done to one repository: an entry of a token's ``access``."""

    model_config = ConfigDict(frozen=True)

    type: str = _REPOSITORY
    name: str
    actions: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it stands in a challenge."""
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


def asked(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Those of ``scopes`` that can be granted. Of the others the protocol says: leave them out."""
    found = [_scope(word) for each in scopes for word in each.split()]
    return tuple(each for each in found if each is not None)[:_MOST]


def _scope(word: str) -> Scope | None:
    kind, _, rest = word.partition(":")
    name, _, said = rest.rpartition(":")
    wanted = set(said.split(","))
    actions = tuple(each for each in _ACTIONS if each in wanted or "*" in wanted)
    if kind != _REPOSITORY or not actions or not _NAME.fullmatch(name):
        return None
    return Scope(name=name, actions=actions)


def needed(method: str, raw_path: str, query: Mapping[str, str]) -> tuple[Scope, ...] | None:
    """Nothing to ask for the API itself; None where the path is none of the registry's.

    The name is what the registry takes for it: paths are read from their end, and a name that
    is spelled with ``%`` is not read at all.
    """
    if raw_path == PREFIX:
        return ()
    found = _repository(raw_path.removeprefix(PREFIX).split("/"))
    if found is None:
        return None
    name, is_upload = found
    if is_upload:
        actions: tuple[str, ...] = (_PULL, _PUSH)
    elif method in {"GET", "HEAD"}:
        actions = (_PULL,)
    else:
        actions = (_DELETE,) if method == "DELETE" else (_PULL, _PUSH)
    source = query.get("from")
    mounted = "mount" in query and source is not None and _NAME.fullmatch(source)
    beside = (Scope(name=str(source), actions=(_PULL,)),) if mounted else ()
    return Scope(name=name, actions=actions), *beside


def _repository(parts: list[str]) -> tuple[str, bool] | None:
    """A repository's name, and whether something is being uploaded to it."""
    match parts:
        case [*name, "blobs", "uploads"] | [*name, "blobs", "uploads", _]:
            upload = True
        case [*name, "blobs" | "manifests" | "referrers", _] | [*name, "tags", "list"]:
            upload = False
        case _:
            return None
    joined = "/".join(name)
    return (joined, upload) if _NAME.fullmatch(joined) else None


def allowed(held: Iterable[Scope], wanted: Iterable[Scope]) -> bool:
    granted = {(each.name, action) for each in held for action in each.actions}
    return all((each.name, action) in granted for each in wanted for action in each.actions)


def challenge(realm: str, scopes: Iterable[Scope], *, error: str | None = None) -> str:
    """Of ``WWW-Authenticate``: where clients get a token, and for what."""
    said = {"service": SERVICE, "scope": " ".join(each.text for each in scopes), "error": error}
    more = "".join(f',{key}="{value}"' for key, value in said.items() if value)
    return f'Bearer realm="{realm}"{more}'
