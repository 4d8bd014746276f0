"""Which of its secrets a build uses, and what of them enters its digest. Pure."""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from services.builder.domain import Asked, Marks
from services.builder.domain.given import without_userinfo
from services.builder.errors import BuildFailedError

INDEX_BEGINNINGS: Final = ("UV_", "PIP_")
_DEFAULTS: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_MORE: Final = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_CREDENTIAL: Final = re.compile(r"UV_INDEX_[A-Z0-9_]+_(?:USERNAME|PASSWORD)")


def for_uv(variables: Mapping[str, str]) -> dict[str, str]:
    """What names indexes or opens them, as uv calls it; nothing else moves uv."""
    found = {name: value for name, value in variables.items() if _CREDENTIAL.fullmatch(name)}
    if default := next((variables[each] for each in _DEFAULTS if variables.get(each)), None):
        found["UV_DEFAULT_INDEX"] = default.strip()
    if more := [variables[each].strip() for each in _MORE if variables.get(each)]:
        found["UV_INDEX"] = " ".join(more)
    return found


def beside(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The service's environment, without what ``given`` replaces.

    Its own credentials are sent to no index that somebody else names.
    """
    gone = {*_DEFAULTS} if "UV_DEFAULT_INDEX" in given else set()
    gone |= {*_MORE} if "UV_INDEX" in given else set()
    return {
        name: value
        for name, value in own.items()
        if name not in gone and not (gone and _CREDENTIAL.fullmatch(name))
    }


def of_manifest(asked: Asked) -> dict[str, str]:
    """Variables of the stage build that need no secret."""
    return {each.name: each.value for each in asked.envs if each.stage == "build" and each.value}


def require_for_commands(asked: Asked, variables: Mapping[str, str]) -> None:
    """Any of its commands may read any of them."""
    for name in _without_value(asked, variables):
        raise _absent(name)


def require_for_uv(asked: Asked, variables: Mapping[str, str]) -> Iterator[str]:
    """In words, what is left out: none of the bento's code runs, so nobody would read it."""
    for name in _without_value(asked, variables):
        if _CREDENTIAL.fullmatch(name) or name in (*_DEFAULTS, *_MORE):
            raise _absent(name)
        yield f"left out, as nothing that could read it is run: {name}"


def marks(key: bytes, org_id: UUID, variables: Mapping[str, str]) -> Marks:
    """Under a key of the builder: nobody else can try values until one fits."""
    return tuple(
        (name, hmac.new(key, f"{org_id} {name} {value}".encode(), hashlib.sha256).hexdigest())
        for name, value in sorted(variables.items())
    )


def places(variables: Mapping[str, str]) -> dict[str, str]:
    """Addresses as they are for everybody; what only opens them is empty."""
    return {
        name: "" if _CREDENTIAL.fullmatch(name) else without_userinfo(value)
        for name, value in variables.items()
    }


def _without_value(asked: Asked, variables: Mapping[str, str]) -> Iterator[str]:
    for each in asked.envs:
        if each.stage == "build" and not each.value and each.name not in variables:
            yield each.name


def _absent(name: str) -> BuildFailedError:
    return BuildFailedError(
        "variable-absent",
        f"the bento's variable {name} of stage build has no value, and no secret that this build "
        "was given has it",
    )
