"""Tools that are run to their end: in a session of their own, and never left behind."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from libs.chassis.process.identity import TOKEN, end, identify, members

_NAMES: Final = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "ALL_PROXY", "HTTP_PROXY"})
_MORE: Final = frozenset({"HTTPS_PROXY", "NO_PROXY"})


def allowed(given: Mapping[str, str], *, prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """What a tool may know of the environment of this service."""
    return {
        name: value
        for name, value in given.items()
        if name.upper() in _NAMES | _MORE or name.startswith(prefixes)
    }


@contextlib.asynccontextmanager
async def tool(
    argv: tuple[str, ...],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stderr: int = asyncio.subprocess.PIPE,
    pass_fds: tuple[int, ...] = (),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed with all that it started, should it still run when the block is left."""
    token = uuid4().hex
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env={**env, TOKEN: token},
        cwd=cwd,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            leader = identify(process.pid, zombie=True)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if leader is not None:
                await end(lambda: members(leader, token), grace=timedelta())
