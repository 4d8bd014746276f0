"""An image of a registry as a folder: an OCI image layout, for programs that read files."""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from services.builder.oci.client import Remote
from services.builder.oci.manifests import descriptor_of, document_of


async def export(remote: Remote, repository: str, digest: str, *, folder: Path) -> None:
    """``folder`` appears when it is whole; one that is there already is only touched."""
    if await asyncio.to_thread(folder.exists):
        await asyncio.to_thread(os.utime, folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        partial = Path(made, "layout")
        blobs = partial / "blobs/sha256"
        blobs.mkdir(parents=True)
        described, manifest = await remote.manifest(repository, digest)
        document = document_of(manifest)
        for said in (document.get("config"), *document.get("layers", ())):
            blob = descriptor_of(said)
            pieces = remote.blob(repository, blob.digest, size=blob.size)
            with await asyncio.to_thread(_blob(blobs, blob.digest).open, "wb") as out:
                async for piece in pieces:
                    await asyncio.to_thread(out.write, piece)
        _blob(blobs, digest).write_bytes(manifest)
        (partial / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        listed = {"schemaVersion": 2, "manifests": [described.to_json()]}
        (partial / "index.json").write_text(json.dumps(listed))
        await asyncio.to_thread(_appear, partial, folder)


def _blob(blobs: Path, digest: str) -> Path:
    return blobs / digest.partition(":")[2]


def _appear(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError:  # another build was faster, with the same bytes
        if not folder.exists():
            raise
