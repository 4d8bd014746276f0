"""Container images as folders, for processes of this machine that are to run as in a container."""

import asyncio
from weakref import WeakValueDictionary

from services.builder.domain import Image, Made
from services.builder.environments import Folders, remove
from services.builder.layers import unpack_layers
from services.builder.oci import Remote
from services.builder.service.builds import Builds
from services.builder.service.job import Job
from services.builder.service.looking import described
from services.builder.upstream import save


class Unpacking:
    """What is there already is taken: a folder is named by the digest of what it was made of."""

    def __init__(self, builds: Builds, folders: Folders) -> None:
        self._builds = builds
        self._folders = folders
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def unpack(self, job: Job, remote: Remote, made: Made, *, reused: bool) -> Image:
        async with self._turns.setdefault(made.digest, asyncio.Lock()):
            await self._builds.claim(job.order, image=made.digest)
            there = self._folders.has_unpacked(made.digest)
            if not there:
                with job.progress.step("unpack the image"):
                    await self._make(job, remote, made)
        folder = self._folders.unpacked(made.digest).resolve().as_uri()
        return Image(made.digest, made.uri, reused and there, folder)

    async def _make(self, job: Job, remote: Remote, made: Made) -> None:
        found, _, config = await described(remote, made.repository, made.digest)
        work = job.work / "unpacked"
        await asyncio.to_thread(remove, work)
        work.mkdir()
        (work / "config.json").write_bytes(config)
        layers = []
        for number, each in enumerate(found):
            file = job.work / f"layer-{number}"
            await save(remote.blob(made.repository, each.digest, size=each.size_bytes), file)
            layers.append((file, each.media_type, each.diff_id))
        await asyncio.to_thread(unpack_layers, layers, work / "rootfs")
        await asyncio.to_thread(self._folders.keep_unpacked, made.digest, work)
