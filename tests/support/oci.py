"""A client of image repositories, as the specification has one."""

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

EMPTY: Final = b"{}"
IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP: Final = f"{LAYER}+gzip"
OTHER_ORG: Final = {"X-Test-Org": "2"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Any
    body: bytes
    json: Any

    @property
    def code(self) -> str:
        """The specification's code of a refusal."""
        [error] = self.json["errors"]
        assert set(error) == {"code", "message", "detail"}
        return str(error["code"])


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


async def call(
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any = None,
    **headers: str,
) -> Answer:
    """Header names are written with ``_`` for ``-``."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with session.request(method, path, data=data, headers=sent) as answer:
        raw = await answer.read()
        said = await answer.json() if raw and "json" in answer.content_type else None
        return Answer(answer.status, answer.headers, raw, said)


async def begin(session: aiohttp.ClientSession, name: str = "team/iris", **headers: str) -> str:
    """Where the upload takes bytes."""
    begun = await call(session, "POST", f"/v2/{name}/blobs/uploads/", **headers)
    assert begun.status == 202, begun.body
    return str(begun.headers["Location"])


async def push(
    session: aiohttp.ClientSession, content: bytes, name: str = "team/iris", **headers: str
) -> str:
    """The digest."""
    digest = digest_of(content)
    path = f"/v2/{name}/blobs/uploads/?digest={digest}"
    done = await call(session, "POST", path, content, **headers)
    assert done.status == 201, done.body
    return digest


def described(content: bytes, media_type: str = LAYER) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def image(*layers: bytes, **more: Any) -> bytes:
    """A manifest; ``more`` are fields that it has besides."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": described(EMPTY, CONFIG),
        "layers": [described(each) for each in layers],
        **more,
    }
    return json.dumps(document).encode()


def index(*manifests: bytes, **more: Any) -> bytes:
    listed = [described(each, IMAGE) for each in manifests]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed, **more}
    return json.dumps(document).encode()


async def put(
    session: aiohttp.ClientSession,
    reference: str,
    manifest: bytes,
    *,
    name: str = "team/iris",
    media_type: str = IMAGE,
    **headers: str,
) -> Answer:
    path = f"/v2/{name}/manifests/{reference}"
    return await call(session, "PUT", path, manifest, Content_Type=media_type, **headers)


async def push_image(
    session: aiohttp.ClientSession,
    reference: str = "v1",
    *layers: bytes,
    name: str = "team/iris",
    **headers: str,
) -> bytes:
    """Blobs and then the manifest, which is returned."""
    for each in (EMPTY, *layers):
        await push(session, each, name, **headers)
    manifest = image(*layers)
    done = await put(session, reference, manifest, name=name, **headers)
    assert done.status == 201, done.body
    return manifest
