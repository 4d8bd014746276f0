"""Credentials as ``docker login`` leaves them, for one registry of those in the file."""

import base64
import binascii
import json
import re
from typing import Any, Final

from services.builder.oci.access.tokens import Credentials
from services.builder.oci.reference import ReferenceInvalidError, canonical_registry

_LARGEST: Final = 2**20
_URL: Final = re.compile(r"(?:https?://)?([^/]+)(?:/|/v[12]/?)?")
"""Docker Hub's key is ``https://index.docker.io/v1/``. What has another path is for less."""
_TOKEN_NAME: Final = "<token>"  # noqa: S105 - a name that says what the password is


class DockerConfigInvalidError(ValueError):
    """Its text says what is wrong, shows nothing of the file but names, and may be shown."""


def credentials_of(config: str | bytes, registry: str) -> Credentials | None:
    """What ``config`` (a ``config.json``) has for ``registry``; ``None`` to go without."""
    document = _document(config)
    wanted = canonical_registry(registry)
    for key, said in _fields(document, "auths").items():
        if _registry_of(key) == wanted and (found := _credentials(key, said)) is not None:
            return found
    helpers = [key for key in _fields(document, "credHelpers") if _registry_of(key) == wanted]
    if helpers or document.get("credsStore"):
        raise DockerConfigInvalidError(
            f"the credentials of {wanted} are with a helper program, and none is run here: "
            "put them into the file itself (auths)"
        )
    return None


def _document(config: str | bytes) -> dict[str, Any]:
    if len(config) > _LARGEST:
        raise DockerConfigInvalidError("the docker config is too large")
    try:
        document = json.loads(config)
    except (ValueError, RecursionError):
        raise DockerConfigInvalidError("the docker config is no JSON") from None
    if not isinstance(document, dict):
        raise DockerConfigInvalidError("the docker config is no object")
    return document


def _fields(document: dict[str, Any], name: str) -> dict[str, Any]:
    said = document.get(name) or {}
    if not isinstance(said, dict):
        raise DockerConfigInvalidError(f"{name} of the docker config is no object")
    return said


def _registry_of(key: str) -> str | None:
    found = _URL.fullmatch(key)
    try:
        return canonical_registry(found[1]) if found else None
    except ReferenceInvalidError:
        return None


def _credentials(key: str, said: object) -> Credentials | None:
    """An entry may be empty: its secrets are with a helper then."""
    known = _texts(key, said)
    username, password = known.get("username", ""), known.get("password", "")
    if known.get("auth"):
        username, password = _pair(key, known["auth"])
    token = known.get("identitytoken", "")
    if username == _TOKEN_NAME:
        username, password, token = "", "", token or password
    if not password and not token:
        return None
    return Credentials(username, password, token)


def _texts(key: str, said: object) -> dict[str, str]:
    if not isinstance(said, dict):
        raise DockerConfigInvalidError(f"the entry of {key[:200]!r} is no object")
    return {name: value for name, value in said.items() if isinstance(value, str)}


def _pair(key: str, auth: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(auth, validate=True).decode()
    except (binascii.Error, ValueError):
        raise DockerConfigInvalidError(f"auth of {key[:200]!r} is no base64") from None
    username, colon, password = decoded.partition(":")
    if not colon:
        raise DockerConfigInvalidError(f"auth of {key[:200]!r} has no password")
    return username, password.rstrip("\0")
