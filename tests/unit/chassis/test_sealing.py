"""What is sealed is opened by its keys alone, in its own place alone."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import JsonValue

from libs.chassis.sealing import (
    Sealer,
    SealingError,
    add_sealing_key,
    drop_older_keys,
    generate_sealing_key,
    keys_in,
)

VALUES: JsonValue = {"A": "kept to ourselves"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sealing"
    generate_sealing_key(path)
    return path


def test_what_is_sealed_tells_nothing_and_opens_again(file: Path) -> None:
    sealer = Sealer(file=file)
    sealed = sealer.seal(VALUES, about="1")

    assert b"kept" not in sealed
    assert sealer.seal(VALUES, about="1") != sealed
    assert Sealer(file=file).open(sealed, about="1") == VALUES
    assert Sealer(keys=keys_in(file)).open(sealed, about="1") == VALUES


def test_it_opens_nowhere_else(file: Path) -> None:
    sealed = Sealer(file=file).seal(VALUES, about="1")

    with pytest.raises(SealingError, match="something else"):
        Sealer(file=file).open(sealed, about="2")
    with pytest.raises(SealingError, match="too early"):
        Sealer(keys=[Fernet.generate_key().decode()]).open(sealed, about="1")
    with pytest.raises(SealingError, match="too early"):
        Sealer(file=file).open(sealed[:-4] + b"AAAA", about="1")
    with pytest.raises(SealingError, match="no key"):
        Sealer().open(sealed, about="1")
    with pytest.raises(SealingError, match="32 bytes"):
        Sealer(keys=["short"]).seal(VALUES, about="1")


def test_keys_are_rotated_while_a_service_runs(file: Path) -> None:
    sealer = Sealer(file=file)
    old, first = sealer.seal(VALUES, about="1"), sealer.key_id

    told = add_sealing_key(file)
    assert sealer.key_id == told != first
    assert sealer.open(old, about="1") == VALUES
    new = sealer.renew(old)
    assert drop_older_keys(file) == 1
    assert sealer.open(new, about="1") == VALUES
    with pytest.raises(SealingError):
        sealer.open(old, about="1")


def test_the_file_is_its_owners_alone_and_never_made_twice(file: Path) -> None:
    before = file.read_bytes()
    generate_sealing_key(file)

    assert file.read_bytes() == before
    add_sealing_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.joinpath(".sealing.new").exists() is False
