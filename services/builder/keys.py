"""Reads the keys that images are signed and checked with, from files."""

from pathlib import Path

from pydantic import SecretStr

from services.builder.errors import SupplyError
from services.builder.supply.pem import (
    LIMIT,
    SigningKey,
    VerifyingKey,
    signing_key,
    verifying_keys,
)


def load_signing_key(file: Path | None, password: SecretStr | None = None) -> SigningKey | None:
    """None where none is configured: images are not signed then."""
    if file is None:
        if password is not None:
            raise SupplyError("signing_key_password is set, and signing_key_file is not")
        return None
    secret = password.get_secret_value().encode() if password is not None else None
    try:
        return signing_key(_read(file), secret)
    except SupplyError as error:
        raise SupplyError(f"signing_key_file {file}: {error}") from error


def load_verifying_keys(file: Path) -> tuple[VerifyingKey, ...]:
    """Every public key of the file: the new one and the old one, while they are rotated."""
    try:
        return verifying_keys(_read(file))
    except SupplyError as error:
        raise SupplyError(f"public keys in {file}: {error}") from error


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(LIMIT + 1)
    except OSError as error:
        raise SupplyError(f"it cannot be read: {error.strerror}") from error
