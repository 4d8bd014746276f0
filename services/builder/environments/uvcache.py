"""What uv keeps of wheels and sources, held within a budget."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from services.builder.environments.children import Children
from services.builder.environments.folders import size_of
from services.builder.environments.uv import program

_VARIABLE: Final = "UV_CACHE_DIR"

log = structlog.get_logger(__name__)


class UvCaches:
    """The one that uv itself chooses, and those ``of`` organisations that had packages built.

    The first may be the user's own: without a budget only what is of no use leaves them.
    """

    def __init__(self, children: Children, of: Path) -> None:
        self._children = children
        self._of = of

    async def trim(self, budget: int | None) -> int:
        """Uv itself waits for builds that use one."""
        own = await self._uv("dir", None)
        others = await asyncio.to_thread(_folders_in, self._of)
        freed = [await self._trim(Path(own), None, budget)] if own else []
        freed += [await self._trim(each, each, budget) for each in others]
        return sum(freed)

    async def _trim(self, folder: Path, named: Path | None, budget: int | None) -> int:
        before = await asyncio.to_thread(size_of, folder)
        if not before:
            return 0
        await self._uv("prune", named)
        after = await asyncio.to_thread(size_of, folder)
        if budget is not None and after > budget:
            await self._uv("clean", named)
            after = await asyncio.to_thread(size_of, folder)
        return max(before - after, 0)

    async def _uv(self, what: str, named: Path | None) -> str:
        env = {_VARIABLE: str(named)} if named is not None else {}
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder, "log")
            argv = (program(), "cache", what)
            code, out, error = await self._children.run(argv, said, env=env)
        if code:
            log.warning("uv.cache_refused", what=what, error=error)
        return out.strip() if not code else ""


def _folders_in(folder: Path) -> Sequence[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
