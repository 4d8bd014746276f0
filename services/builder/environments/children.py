"""Tools that builds run: with an environment that is listed here, and a mark to find them by."""

import asyncio
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from libs.chassis.process import MARKER, Command, allowed, leftovers, stop_leftovers, tool
from services.builder import plan
from services.builder.domain import NOTHING, Given

_PREFIXES: Final = ("SSL_", "UV_", "PIP_")
_ALWAYS: Final = {"UV_PYTHON_DOWNLOADS": "never"}
_USERINFO: Final = re.compile(r"://[^/@\s]+@")
_AT_ONCE: Final = timedelta(0)

log = structlog.get_logger(__name__)


class Children:
    """All of them carry ``marker``: whoever comes after a killed builder ends them by it."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    def command(
        self,
        argv: tuple[str, ...],
        cwd: Path,
        env: Mapping[str, str] | None = None,
        *,
        given: Given = NOTHING,
    ) -> Command:
        """With a mark of its own. What ``env`` has is in no log."""
        mark = f"{self._marker}:{uuid4().hex}"
        told = {**_environment(env or {}, given), **_ALWAYS, MARKER: mark}
        return Command(argv, told, cwd)

    async def run(
        self,
        argv: tuple[str, ...],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        given: Given = NOTHING,
    ) -> tuple[int, str, str]:
        """Exit code, output and complaints, which go to the log as well, without what was given."""
        command = self.command(argv, cwd or log.parent, env, given=given)
        return await self.finish(command, log, shown=argv, given=given)

    async def finish(
        self, command: Command, log: Path, *, shown: tuple[str, ...], given: Given = NOTHING
    ) -> tuple[int, str, str]:
        """Cancelled, it kills what was started, also what has a session of its own by now."""
        with log.open("a") as out:
            out.write(f"$ {given.hide(_USERINFO.sub('://***@', ' '.join(shown)))}\n")
        fds = command.pass_fds
        try:
            async with tool(
                command.argv, env=command.env, cwd=command.cwd, pass_fds=fds
            ) as process:
                said, complained = await process.communicate()
        except BaseException:
            await _end(command.env.get(MARKER, self._marker))
            raise
        output, error = (given.hide(each.decode(errors="replace")) for each in (said, complained))
        with log.open("a") as out:
            out.write(output + error)
        return process.returncode or 0, output, error

    async def end_leftovers(self) -> None:
        """Those of a builder that was killed. Not while one that lives has any."""
        if ended := await _end(self._marker):
            log.warning("builds.leftovers_ended", processes=ended)


def _environment(more: Mapping[str, str], given: Given) -> dict[str, str]:
    kept = {**allowed(os.environ, prefixes=_PREFIXES), **more}
    own = plan.beside(kept, given.variables)
    apart = {"UV_CACHE_DIR": str(given.cache)} if given and given.cache else {}
    return {**own, **given.variables, **apart}


async def _end(marker: str) -> int:
    found = await asyncio.to_thread(leftovers, marker)
    await stop_leftovers(found, grace=_AT_ONCE)
    return len(found)
