"""One command in the namespace, with its files where it may find them."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from libs.chassis.cgroups import joining
from libs.chassis.process import MARKER, allowed, tool
from services.builder.containers.namespace import Namespace

SEEN: Final = Path("/mnt")
"""Where it finds the root, whose parents it may not enter: in its own mount namespace only."""

_MOVE_IN: Final = f'mount --no-canonicalize --rbind . {SEEN} && cd {SEEN} && exec "$@"'
_CHUNK: Final = 64 * 1024
_FIXED: Final = {
    "_CONTAINERS_USERNS_CONFIGURED": "done",  # or it would make a namespace in the namespace
    "CONTAINERS_CONF": os.devnull,
    "HOME": f"{SEEN}/home",
    "XDG_RUNTIME_DIR": f"{SEEN}/home",
}

_Output = Callable[[bytes], Awaitable[None]]


def marker_of(root: Path) -> str:
    """What tells the processes of one builder from those of others."""
    return f"buildah-{hashlib.sha256(os.fspath(root.resolve()).encode()).hexdigest()[:16]}"


class Child:
    def __init__(self, root: Path, namespace: Namespace, environ: Mapping[str, str]) -> None:
        self._root = root
        self._namespace = namespace
        self.owner = namespace.owner
        kept = allowed(environ, prefixes=("SSL_",))
        self._env = {**kept, **_FIXED, MARKER: marker_of(root)}

    async def run(
        self,
        *argv: str,
        groups: tuple[Path, ...] = (),
        network: bool = True,
        env: Mapping[str, str] | None = None,
        output: _Output,
    ) -> int:
        """Its exit code. Whoever cancels this ends it, and everything that it has started."""
        moved = self._namespace.inside("sh", "-c", _MOVE_IN, "sh", *argv, network=network)
        async with tool(
            joining(groups, moved),
            env={**self._env, **(env or {})},
            cwd=self._root,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(self._namespace.fd,),
        ) as process:
            assert process.stdout is not None  # noqa: S101 - asked for
            while chunk := await process.stdout.read(_CHUNK):
                await output(chunk)
            return await process.wait()

    async def ask(self, *argv: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        said = bytearray()

        async def keep(chunk: bytes) -> None:
            said.extend(chunk)

        code = await self.run(*argv, env=env, output=keep)
        return code, said.decode(errors="replace")
