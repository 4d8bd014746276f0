"""What is kept encrypted at rest, under keys that are not in the database."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import BaseModel, JsonValue, ValidationError

from libs.chassis.errors import Kind, ServiceError


class SealingError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "secrets-sealed"
    title: ClassVar[str] = "Secrets cannot be sealed or opened here"


class _Sealed(BaseModel):
    """``about`` binds the content to its row: moved to another one it does not open."""

    about: str
    content: JsonValue


class Sealer:
    """Seals with the first key; opens what any of them has sealed.

    A file is read again when it has changed, so keys are rotated while the service runs.
    """

    def __init__(self, *, file: Path | None = None, keys: Sequence[str] = ()) -> None:
        self._file = file
        self._keys = tuple(keys)
        self._read_at = 0

    @property
    def key_id(self) -> str:
        """Tells which key seals now, and nothing about it."""
        return fingerprint_of(self._current()[0])

    def seal(self, content: JsonValue, *, about: str) -> bytes:
        body = _Sealed(about=about, content=content).model_dump_json().encode()
        return self._fernet().encrypt(body)

    def open(self, sealed: bytes, *, about: str) -> JsonValue:
        try:
            found = _Sealed.model_validate_json(self._fernet().decrypt(sealed))
        except (InvalidToken, ValidationError) as error:
            raise SealingError("no key of ours opens it: was a key removed too early?") from error
        if found.about != about:
            raise SealingError("it was sealed for something else")
        return found.content

    def renew(self, sealed: bytes) -> bytes:
        """The same, sealed with the first key."""
        try:
            return self._fernet().rotate(sealed)
        except InvalidToken as error:
            raise SealingError("no key of ours opens it: was a key removed too early?") from error

    def _fernet(self) -> MultiFernet:
        try:
            return MultiFernet([Fernet(each) for each in self._current()])
        except ValueError as error:
            raise SealingError("a key for secrets is not 32 bytes in URL-safe base64") from error

    def _current(self) -> tuple[str, ...]:
        if self._file is not None:
            try:
                changed = self._file.stat().st_mtime_ns
                if changed != self._read_at:
                    self._keys, self._read_at = keys_in(self._file), changed
            except OSError as error:
                if not self._keys:
                    raise SealingError(
                        f"the file of keys cannot be read: {error.strerror}"
                    ) from error
        if not self._keys:
            raise SealingError("no key for secrets was given to this service")
        return self._keys


def fingerprint_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def keys_in(file: Path) -> tuple[str, ...]:
    """The first one seals."""
    return tuple(file.read_text().split())


def generate_sealing_key(file: Path) -> None:
    """Where there is none yet."""
    if not file.exists():
        _write(file, [Fernet.generate_key().decode()])


def add_sealing_key(file: Path) -> str:
    """Before the others: what is sealed from now on is sealed with it. Its fingerprint."""
    key = Fernet.generate_key().decode()
    _write(file, [key, *keys_in(file)])
    return fingerprint_of(key)


def drop_older_keys(file: Path) -> int:
    """All but the first; how many. Only when nothing is sealed with them any more."""
    first, *older = keys_in(file)
    _write(file, [first])
    return len(older)


def _write(file: Path, keys: Sequence[str]) -> None:
    """Whole or not at all, and for its owner alone."""
    partial = file.with_name(f".{file.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write("".join(f"{key}\n" for key in keys))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
