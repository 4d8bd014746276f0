"""``make images``: the image of the platform itself, made by its builder's engine without Docker.

What ``deploy/Dockerfile`` describes, but twice the same bytes: a base image, the locked
requirements as wheels, our own files. No bytecode is in it, since none is the same twice.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from libs.chassis.errors import ServiceError
from libs.chassis.isolation import Isolation
from libs.contracts.mediatypes import OCI_LAYER_GZIP, OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder import plan
from services.builder.domain import BaseImage, Layer, Target
from services.builder.environments import Children, Confinement, NeedsBuildingError, Uv
from services.builder.errors import BuildFailedError
from services.builder.layers import Entry, below, groups_of, skeleton, write
from services.builder.oci import (
    Descriptor,
    Image,
    Known,
    Layout,
    ReferenceInvalidError,
    Registries,
    open_layout,
    parse_platform,
    parse_reference,
)
from services.builder.oci.copying import images_of
from services.builder.oci.export import export
from services.builder.service.looking import Looking

_TOP: Final = Path(__file__).resolve().parents[1]
_AT: Final = "opt/yokocho"
_VENV: Final = f"/{_AT}/.venv"
_HOME: Final = "/var/lib/yokocho"
_USER: Final = "yokocho"
_UID: Final = 10001
_PYTHON: Final = "3.11"
_OURS: Final = ("libs", "services", "cli")
_BESIDE: Final = ("LICENSE", "README.md", "pyproject.toml")
_PORTS: Final = (7101, 7102, 7103, 7104, 7105, 7777, 7778)
_EPOCH: Final = "1970-01-01T00:00:00Z"
_NAME: Final = "org.opencontainers.image.ref.name"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Shelf:
    """One image of a layout, where a registry would be asked for it by name."""

    layout: Layout
    image: Image

    async def manifest(self, *_: str) -> tuple[Descriptor, bytes]:
        return self.image.descriptor, self.image.manifest

    def blob(self, _: str, digest: str, /, **__: int) -> AsyncIterator[bytes]:
        blobs = (self.image.config, *self.image.layers)
        return self.layout.blob(next(each for each in blobs if each.digest == digest))


class Making:
    """One image, written into ``blobs``; ``work`` is on the same file system."""

    def __init__(self, work: Path, *, blobs: Path, platform: str) -> None:
        self._work = work
        self._blobs = blobs
        self._platform = platform

    async def make(self, shelf: Shelf, name: str) -> dict[str, Any]:
        """The descriptor of its manifest."""
        found = await Looking(self._work).look(
            shelf, name, name, digest=shelf.image.descriptor.digest, platform=self._platform
        )
        base = found.base
        layers = list(base.layers)
        for described in shelf.image.layers:
            with (self._blobs / described.digest.partition(":")[2]).open("wb") as out:
                async for piece in shelf.layout.blob(described):
                    out.write(piece)
        ours = (_frame(base), *await self._packages(base), _ours())
        layers += [await asyncio.to_thread(self._layer, each) for each in ours]
        config = self._document(_config(base, layers))
        named = {"org.opencontainers.image.base.digest": base.digest}
        manifest = plan.manifest_of(config, layers, annotations=named)
        digest, size = self._document(manifest)
        system, _, architecture = self._platform.partition("/")
        about = {"mediaType": OCI_MANIFEST, "digest": digest, "size": size}
        return about | {"platform": {"os": system, "architecture": architecture}}

    async def _packages(self, base: BaseImage) -> list[Iterable[Entry]]:
        folder, log = self._work / "packages", self._work / "log"
        target = Target(_python(base).version, plan.platform_of_uv(self._platform, base.libc))
        lock = (_TOP / "requirements/runtime.txt").read_text()
        children = Children(f"images:{os.getpid()}")
        uv = Uv(children, Confinement(children, self._work / "caches", Isolation()))
        await uv.lay_out(lock, target, folder, log=log)  # wheels alone: no code of theirs runs
        groups = await asyncio.to_thread(
            groups_of, folder, venv=_VENV, python=_python(base).minor, owner=0
        )
        return [each.entries for each in groups]

    def _layer(self, entries: Iterable[Entry]) -> Layer:
        partial = self._work / "layer"
        written, chunks = write(entries, media_type=OCI_LAYER_GZIP)
        with partial.open("wb") as out:
            out.writelines(chunks)
        partial.rename(self._blobs / written.layer.digest.partition(":")[2])
        return written.layer

    def _document(self, body: bytes) -> tuple[str, int]:
        digest = digest_of(body)
        (self._blobs / digest.partition(":")[2]).write_bytes(body)
        return digest, len(body)


async def assemble(base: str, into: Path, *, platform: str, name: str = "yokocho") -> str:
    """The image's digest. ``into`` is replaced when everything is written, if it is a layout."""
    if into.exists() and not (into / "oci-layout").is_file():
        raise BuildFailedError("image-invalid", f"{into} is there, and no image layout")
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as made:
        work, partial = Path(made, "work"), Path(made, "layout")
        blobs = partial / "blobs/sha256"
        for folder in (work, blobs):
            folder.mkdir(parents=True)
        async with _opened(base, platform, work) as shelf:
            about = await Making(work, blobs=blobs, platform=platform).make(shelf, base)
        (partial / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        listed = {"schemaVersion": 2, "manifests": [about | {"annotations": {_NAME: name}}]}
        (partial / "index.json").write_text(json.dumps(listed))
        shutil.rmtree(into, ignore_errors=True)
        partial.rename(into)
    return str(about["digest"])


async def push(layout: Path, target: str, *, plain_http: Sequence[str] = ()) -> str:
    """Where it is afterwards, by its digest. Credentials are those of docker's configuration."""
    name = parse_reference(target)
    async with aiohttp.ClientSession() as session, open_layout(layout) as opened:
        remote = _registries(session, plain_http).remote(name.registry)
        digest = await opened.push(
            opened.images[0], remote, repository=name.repository, reference=name.tag or "latest"
        )
    return f"{name.registry}/{name.repository}@{digest}"


@asynccontextmanager
async def _opened(base: str, platform: str, work: Path) -> AsyncIterator[Shelf]:
    """A layout or an archive where there is one of that name; else from where it is published."""
    place, wanted = Path(base), parse_platform(platform)
    if not place.exists():
        name, place = parse_reference(base), work / "base"
        async with aiohttp.ClientSession() as session:
            remote = _registries(session, ()).remote(name.registry)
            tag = name.digest or name.tag or "latest"
            found = await images_of(remote, name.repository, tag, platforms=[wanted])
            await export(remote, name.repository, found[0][1].digest, folder=place)
    async with open_layout(place) as layout:
        fitting = [each for each in layout.images if wanted.runs(each.platform)]
        if not fitting:
            raise BuildFailedError("base-image-absent", f"{base} has no image for {platform}")
        yield Shelf(layout, fitting[0])


def _registries(session: aiohttp.ClientSession, plain_http: Sequence[str]) -> Registries:
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    return Registries(session, Known(config if config.exists() else None, tuple(plain_http)))


def _python(base: BaseImage) -> Any:
    found = base.python(_PYTHON)
    if found is None:
        raise BuildFailedError("python-version-absent", f"{base.reference} has no {_PYTHON}")
    return found


def _frame(base: BaseImage) -> list[Entry]:
    """The user, its home, which nobody else looks into, and an environment that it cannot change.

    Bentos have a folder of their own in the frame of theirs.
    """
    frame = skeleton(base, _python(base), user=_USER, uid=_UID, home=_HOME, venv=_VENV)
    home = _HOME.lstrip("/")
    kept = [each for each in frame if not each.path.startswith((f"{home}/", "opt"))]
    venv = [replace(each, owner=0) for each in frame if each.path.startswith("opt")]
    private = [replace(each, private=True) if each.path == home else each for each in kept]
    return sorted([*private, *venv, Entry(_AT)], key=lambda each: each.path)


def _ours() -> list[Entry]:
    """Whatever an interpreter or an editor left there stays out."""
    files = [Entry(f"{_AT}/{each}", content=(_TOP / each).read_bytes()) for each in _BESIDE]
    for part in _OURS:
        files.append(Entry(f"{_AT}/{part}"))
        files += below(_TOP / part, f"{_AT}/{part}", owner=0)
    kept = [each for each in files if "/__pycache__" not in each.path and "/." not in each.path]
    return sorted(kept, key=lambda each: each.path)


def _config(base: BaseImage, layers: Sequence[Layer]) -> bytes:
    given = dict(each.split("=", 1) for each in base.env if "=" in each)
    env = given | {
        "PATH": f"{_VENV}/bin:{given.get('PATH', _PATH)}",
        "PYTHONPATH": f"/{_AT}",
        "PYTHONUNBUFFERED": "1",
        "YOKOCHO_HOME": _HOME,
    }
    system, _, architecture = base.platform.partition("/")
    ran = {
        "User": _USER,
        "ExposedPorts": {f"{each}/tcp": {} for each in _PORTS},
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Entrypoint": ["python", "-m", "cli"],
        "WorkingDir": f"/{_AT}",
        "Labels": dict(base.labels) | {"org.opencontainers.image.title": "yokocho"},
    }
    about = {"created": _EPOCH, "architecture": architecture, "os": system, "config": ran}
    rootfs = {"type": "layers", "diff_ids": [each.diff_id for each in layers]}
    return json.dumps(about | {"rootfs": rootfs}, separators=(",", ":")).encode()


async def _main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    parser.add_argument("--base", default="python:3.11-slim", help="reference, layout or archive")
    parser.add_argument("--into", type=Path, default=_TOP / "dist/images/yokocho")
    parser.add_argument("--push", help="registry/name:tag")
    parser.add_argument("--platform", default="linux/amd64")
    parser.add_argument("--plain-http", action="append", default=[], help="a registry's host")
    given = parser.parse_args(argv)
    try:
        digest = await assemble(given.base, given.into, platform=given.platform)
        print(f"{given.into} {digest}")
        if given.push:
            print(await push(given.into, given.push, plain_http=given.plain_http))
    except (BuildFailedError, NeedsBuildingError, ServiceError, ReferenceInvalidError) as error:
        print(f"no image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(_main(sys.argv[1:])))
