"""What uv keeps of wheels and sources, held within a budget."""

import asyncio
import tempfile
from pathlib import Path

import structlog

from services.builder.environments.children import Children
from services.builder.environments.folders import size_of
from services.builder.environments.uv import program

log = structlog.get_logger(__name__)


class UvCache:
    """It may be the user's own: without a budget only what is of no use leaves it."""

    def __init__(self, children: Children) -> None:
        self._children = children

    async def trim(self, budget: int | None) -> int:
        """How many bytes were freed. uv itself waits for builds that use it."""
        folder = await self._uv("dir")
        before = await asyncio.to_thread(size_of, Path(folder)) if folder else 0
        if not before:
            return 0
        await self._uv("prune")
        after = await asyncio.to_thread(size_of, Path(folder))
        if budget is not None and after > budget:
            await self._uv("clean")
            after = await asyncio.to_thread(size_of, Path(folder))
        return max(before - after, 0)

    async def _uv(self, what: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder, "log")
            code, out, error = await self._children.run((program(), "cache", what), said)
        if code:
            log.warning("uv.cache_refused", what=what, error=error)
        return out.strip() if not code else ""
