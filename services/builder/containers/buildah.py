"""buildah as a child process that is nobody of this machine, and leaves nothing but its result.

Its root is an id without an account, it sees no processes but its own, and one storage serves one
build at a time. With isolation ``chroot`` its commands share the machine's network unless
``network`` is ``none``.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from libs.chassis.cgroups import LimitUnavailableError
from libs.chassis.process import leftovers, stop_leftovers
from services.builder.containers.child import SEEN, Child, marker_of
from services.builder.containers.layout import settle
from services.builder.containers.limits import Limits, limited, remove_leftovers
from services.builder.containers.namespace import FIRST_ID, Namespace, open_namespace
from services.builder.containers.recipe import Recipe
from services.builder.containers.sharing import build_shared
from services.builder.containers.steps import Log, Sink, Steps
from services.builder.containers.workspace import Workspace
from services.builder.errors import BuildFailedError

_GRACE: Final = timedelta(seconds=1)


class BuildahUnavailableError(Exception):
    """There is no buildah here, or another one has its folder."""


class Buildah:
    """``start`` it first."""

    def __init__(
        self,
        root: Path,
        *,
        isolation: str = "chroot",
        network: str = "host",
        ca_bundle: Path | None = None,
        first_id: int = FIRST_ID,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if network not in {"host", "none"}:
            message = f"network {network!r} is not supported"
            raise ValueError(message)
        self._root = root
        self._fixed = ("--isolation", isolation, "--network", "host")  # where it is itself
        self._connected = network == "host"
        self._ca_bundle = ca_bundle
        self._first_id = first_id
        self._environ = dict(os.environ if environ is None else environ)
        self._driver = "overlay"
        self._busy: set[int] = set()
        self._namespace: Namespace | None = None
        self._lock = -1

    async def start(self) -> None:
        """Ends and removes what an earlier one, killed, has left. Twice on one root is refused."""
        if shutil.which("buildah", path=self._environ.get("PATH")) is None:
            message = "buildah is not installed"
            raise BuildahUnavailableError(message)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take()
        try:
            await self._recover()
        except BaseException:
            await self.close()
            raise

    async def _recover(self) -> None:
        await stop_leftovers(leftovers(marker_of(self._root)), grace=_GRACE)
        remove_leftovers()
        self._namespace = await open_namespace(self._first_id)
        for name in (".", "storage", "builds", "home"):
            folder = self._root / name
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, self._namespace.owner, -1)
        await self._child().ask("sh", "-c", "rm -rf builds/*")
        await self._choose_driver()
        for slot in sorted((self._root / "storage").iterdir()):
            await self._tidy(int(slot.name))

    async def close(self) -> None:
        if self._namespace is not None:
            self._namespace.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._namespace, self._lock = None, -1

    async def build(self, recipe: Recipe, *, into: Path, log: Sink, limits: Limits) -> None:
        """An OCI image layout at ``into``, or nothing. Cancelled, nothing of it runs on."""
        with self._slot() as slot:
            try:
                async with (
                    asyncio.timeout(limits.seconds),
                    limited(limits) as groups,
                    self._workspace() as work,
                ):
                    storage = self._storage(slot, work.folder.name, alone=bool(recipe.secrets))
                    told = Log(recipe, log)
                    steps = Steps(self._child(), work.folder, storage, told, groups)
                    await self._all(recipe, work, steps)
                    await asyncio.to_thread(_deliver, work.folder / "out", into, recipe.base)
            except TimeoutError:
                await self._tidy(slot)
                words = f"the image was not built within {limits.seconds:g} s"
                raise BuildFailedError("image-build-timed-out", words) from None
            except LimitUnavailableError as error:
                raise BuildFailedError("image-build-limit", str(error)) from None
            except BaseException:
                await self._tidy(slot)
                raise

    async def trim(self, budget: int | None) -> int:
        """Storages that no build is in and that hold more than this. How many bytes it was."""
        freed = 0
        for folder in await asyncio.to_thread(sorted, (self._root / "storage").iterdir()):
            slot = int(folder.name)
            if budget is None or slot in self._busy:
                continue
            self._busy.add(slot)
            try:
                _, said = await self._child().ask("du", "-sb", f"storage/{slot}")
                size = int(said.partition("\t")[0])
                if size > budget:
                    await self._child().ask("rm", "-rf", f"storage/{slot}")
                    freed += size
            finally:
                self._busy.remove(slot)
        return freed

    async def _all(self, recipe: Recipe, work: Workspace, steps: Steps) -> None:
        await asyncio.to_thread(work.fill, recipe, ca_bundle=self._ca_bundle, environ=self._environ)
        base = await steps.pull(recipe) if recipe.base is not None else None
        work.dockerfile(recipe, base)
        cache = recipe.cache if recipe.shares else None
        if cache is None or not await build_shared(
            recipe, cache, work=work, steps=steps, fixed=self._fixed
        ):
            await steps.build(recipe, self._fixed, network=self._connected)
        await steps.export()

    @asynccontextmanager
    async def _workspace(self) -> AsyncIterator[Workspace]:
        child = self._child()
        work = Workspace(self._root / "builds" / uuid4().hex, child.owner)
        try:
            yield work
        finally:
            work.shred()
            await child.ask("rm", "-rf", f"builds/{work.folder.name}")

    def _child(self) -> Child:
        if self._namespace is None:
            message = "it has not been started"
            raise BuildahUnavailableError(message)
        return Child(self._root, self._namespace, self._environ)

    def _take(self) -> None:
        self._lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            message = f"another builder uses {self._root}"
            raise BuildahUnavailableError(message) from None

    @contextmanager
    def _slot(self) -> Iterator[int]:
        """A storage that no other build is in, the fullest cache first."""
        slot = next(each for each in range(len(self._busy) + 1) if each not in self._busy)
        self._busy.add(slot)
        try:
            yield slot
        finally:
            self._busy.remove(slot)

    def _storage(self, slot: int, work: str, *, alone: bool = False) -> tuple[str, ...]:
        """What secrets helped to make nobody finds again: ``alone`` it goes with its build."""
        root = f"builds/{work}/storage" if alone else f"storage/{slot}"
        places = ("--root", f"{SEEN}/{root}", "--runroot", f"{SEEN}/builds/{work}/run")
        return ("buildah", *places, "--storage-driver", self._driver)

    async def _choose_driver(self) -> None:
        """overlay, where a namespace may mount it; else vfs, which copies each layer."""
        probe = ("--root", f"{SEEN}/builds/probe", "--runroot", f"{SEEN}/builds/probe-run")
        code, said = await self._child().ask(
            "buildah", *probe, "--storage-driver", "overlay", "info"
        )
        await self._child().ask("rm", "-rf", "builds/probe", "builds/probe-run")
        if code:
            self._driver = "vfs"
        code, said = await self._child().ask("buildah", "--version")
        if code:
            raise BuildahUnavailableError(said)

    async def _tidy(self, slot: int) -> None:
        """Containers of builds that did not end, with what was mounted into them."""
        child = self._child()
        await child.ask(*self._storage(slot, "tidy"), "rm", "--all")
        await child.ask("rm", "-rf", "builds/tidy")


def _deliver(out: Path, into: Path, base: str | Path | None) -> None:
    """Settled and this service's own before it appears."""
    ready = into.with_name(f"{into.name}.partial")
    shutil.rmtree(ready, ignore_errors=True)
    settle(out, ready, base=base if isinstance(base, Path) else None)
    ready.rename(into)
