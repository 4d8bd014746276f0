"""Where everything lies. A folder without its marker, or not yet renamed, does not count."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from services.builder.domain import Image, Model

_MARKER: Final = ".complete"


@dataclass(frozen=True, slots=True)
class Folders:
    root: Path

    def log(self, build_id: UUID) -> Path:
        return self._made("logs") / f"{build_id}.log"

    def work(self, build_id: UUID) -> Path:
        """Empty, whatever a build that was interrupted left behind."""
        folder = self._made("work") / str(build_id)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def environment(self, digest: str) -> Path:
        return self._made("environments") / _hex(digest)

    def image(self, digest: str) -> Path:
        return self._made("images") / _hex(digest)

    def has_environment(self, digest: str) -> bool:
        return (self.environment(digest) / _MARKER).is_file()

    def has_image(self, digest: str) -> bool:
        return (self.image(digest) / "bento").is_dir() and (
            self.image(digest) / "environment" / _MARKER
        ).is_file()

    def complete(self, digest: str) -> None:
        """The marker only after everything it speaks for is on the disk."""
        os.sync()
        with (self.environment(digest) / _MARKER).open("w") as marker:
            os.fsync(marker.fileno())

    def assemble(
        self, digest: str, environment: str, bento: Path, *, models: dict[Model, Path]
    ) -> None:
        """Move the unpacked parts into an image, which appears whole or not at all."""
        image = self.image(digest)
        partial = image.with_name(f"{image.name}.partial")
        for stale in (partial, image):
            shutil.rmtree(stale, ignore_errors=True)
        partial.mkdir()
        bento.rename(partial / "bento")
        for model, folder in models.items():
            home = partial / "bento" / "models" / model.repository
            home.mkdir(parents=True, exist_ok=True)
            folder.rename(home / model.version)
            (home / "latest").write_text(model.version)
        (partial / "environment").symlink_to(Path("../../environments") / _hex(environment))
        os.sync()
        partial.rename(image)

    def found(self, digest: str, *, reused: bool) -> Image:
        return Image(digest, self.image(digest).resolve().as_uri(), reused)

    def set_aside(self, kept: set[str]) -> list[str]:
        """Out of sight at once: renaming is quick, removing is not."""
        names = {_hex(each) for each in kept}
        trash, gone = self._made("trash"), []
        for kind in ("images", "environments"):
            for folder in sorted(self._made(kind).iterdir()):
                if folder.name.partition(".")[0] not in names:
                    folder.rename(trash / uuid4().hex)
                    gone.append(f"{kind}/{folder.name}")
        return gone

    async def empty_trash(self) -> None:
        for folder in self._made("trash").iterdir():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _made(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
