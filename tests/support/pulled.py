"""An image as somebody with a token reads it from a registry, each byte checked by its digest."""

import base64
import hashlib
import json
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from tests.support.oci import IMAGE, INDEX

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Shop:
    """A registry, and who asks it."""

    url: str
    token: str

    def open(self, path: str, *accept: str) -> Any:
        secret = base64.b64encode(f"anybody:{self.token}".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Accept": ", ".join(accept)}
        request = urllib.request.Request(f"{self.url}/v2/{path}", headers=headers)
        return urllib.request.urlopen(request, timeout=60)

    def document(self, repository: str, digest: str) -> dict[str, Any]:
        with self.open(f"{repository}/manifests/{digest}", IMAGE, INDEX) as answer:
            body = answer.read()
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest
        found: dict[str, Any] = json.loads(body)
        return found

    def pull(self, repository: str, digest: str, *, architecture: str = "amd64") -> "Pulled":
        """Of an index, the image for ``architecture``."""
        found = self.document(repository, digest)
        if "manifests" in found:
            [chosen] = [
                each
                for each in found["manifests"]
                if each["platform"]["architecture"] == architecture
            ]
            found = self.document(repository, chosen["digest"])
        return Pulled(self, repository, found)


@dataclass(frozen=True, slots=True)
class Pulled:
    """One platform's image."""

    shop: Shop
    repository: str
    manifest: dict[str, Any]

    @property
    def layers(self) -> Sequence[dict[str, Any]]:
        found: list[dict[str, Any]] = self.manifest["layers"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        with self.blob(self.manifest["config"]["digest"]) as content:
            found: dict[str, Any] = json.loads(content.read())
        return found

    @contextmanager
    def blob(self, digest: str) -> Iterator[IO[bytes]]:
        """All of it has been checked before anything of it is read."""
        seen = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            with self.shop.open(f"{self.repository}/blobs/{digest}") as answer:
                while piece := answer.read(_CHUNK):
                    seen.update(piece)
                    file.write(piece)
            assert f"sha256:{seen.hexdigest()}" == digest
            file.seek(0)
            yield file
