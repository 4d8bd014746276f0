"""One build under way: what was ordered, what it says, and its parts when somebody needs them."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from services.builder.archive import unpack
from services.builder.domain import NOTHING, Given, Model, Order
from services.builder.service.progress import Progress
from services.builder.upstream import Registry


@dataclass(frozen=True, slots=True)
class Job:
    """``work`` is a folder that nobody needs afterwards."""

    order: Order
    progress: Progress
    registry: Registry
    work: Path
    given: Given = NOTHING

    async def bento(self) -> Path:
        """By digest only: what a tag means by now does not matter."""
        return await self._unpacked(self.order.bento_digest, "bento", self.order.bento)

    async def model(self, model: Model) -> Path:
        name = f"{model.repository}:{model.version}"
        return await self._unpacked(model.digest, f"model-{model.digest[7:]}", name)

    async def _unpacked(self, digest: str, name: str, shown: str) -> Path:
        folder = self.work / name
        if not folder.exists():
            self.progress.note(f"fetching {shown} {digest}")
            file = folder.with_suffix(".tar")
            await self.registry.fetch(digest, self.order.org_id, file)
            await asyncio.to_thread(unpack, file, folder)
            file.unlink()
        return folder
