"""Layers as bytes: what is said of them is what they are."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from libs.contracts.mediatypes import OCI_LAYER, OCI_LAYER_GZIP
from services.builder.layers import Entry, write


@pytest.mark.parametrize("media_type", [OCI_LAYER, OCI_LAYER_GZIP])
@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1])
def test_digests_and_size_are_those_of_the_bytes(
    tmp_path: Path, media_type: str, size: int
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(size))
    written, chunks = write([Entry("weights", source=file, size=size)], media_type=media_type)
    body = b"".join(chunks)

    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        inner = tar.extractfile("weights")
        assert inner is not None
        assert inner.read() == bytes(size)
    layer = written.layer
    assert (layer.digest, layer.size_bytes) == (_digest(body), len(body))
    assert (layer.diff_id == layer.digest) is (media_type == OCI_LAYER)


@pytest.mark.parametrize("said", [3, 5])
def test_a_file_that_is_not_as_large_as_was_said_is_an_error(tmp_path: Path, said: int) -> None:
    file = tmp_path / "four"
    file.write_bytes(b"four")
    _, chunks = write([Entry("four", source=file, size=said)], media_type=OCI_LAYER)
    with pytest.raises(OSError, match="changed"):
        list(chunks)


def test_a_private_folder_is_for_its_owner_alone() -> None:
    _, chunks = write([Entry("home", 7, private=True), Entry("open", 7)], media_type=OCI_LAYER)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert {each.name: each.mode for each in tar} == {"home": 0o700, "open": 0o755}


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
