"""Where everything lies. A folder without its marker, or not yet renamed, does not count."""

import asyncio
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from services.builder.domain import Image, Model

_MARKER: Final = ".complete"
_WRITING: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_PERMISSIONS: Final = 0o777
_READING: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_ENTERING: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


@dataclass(frozen=True, slots=True)
class Folders:
    root: Path

    def log(self, build_id: UUID) -> Path:
        return self._made("logs") / f"{build_id}.log"

    def work(self, build_id: UUID) -> Path:
        """Empty, whatever a build that was interrupted left behind."""
        folder = self._made("work") / str(build_id)
        remove(folder)
        folder.mkdir()
        return folder

    def scratch(self) -> Path:
        """For what nobody needs when whoever put it there is done."""
        return self._made("scratch")

    def bases(self) -> Path:
        """Base images as files, for programs that read no registry."""
        return self._made("bases")

    @property
    def caches(self) -> Path:
        """Of packages that were built, for each organisation its own."""
        return self.root / "caches"

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

    def unpacked(self, digest: str) -> Path:
        """Of a container image: its ``config.json``, and ``rootfs``."""
        return self._made("unpacked") / _hex(digest)

    def has_unpacked(self, digest: str) -> bool:
        return (self.unpacked(digest) / _MARKER).is_file()

    def keep_unpacked(self, digest: str, made: Path) -> None:
        """Move it to its place, where it appears whole or not at all, for reading only."""
        folder = self.unpacked(digest)
        remove(folder)
        (made / _MARKER).touch()
        _protect(made)
        os.sync()
        made.rename(folder)

    def complete(self, digest: str) -> None:
        """The marker only after everything it speaks for is on the disk, and for reading only."""
        _protect(self.environment(digest))
        os.sync()
        marker = self.environment(digest) / _MARKER
        marker.unlink(missing_ok=True)  # a package may have left a link there
        with marker.open("x") as file:
            os.fsync(file.fileno())

    def assemble(
        self, digest: str, environment: str, bento: Path, *, models: dict[Model, Path]
    ) -> None:
        """Move the unpacked parts into an image, which appears whole or not at all."""
        image = self.image(digest)
        partial = image.with_name(f"{image.name}.partial")
        for stale in (partial, image):
            remove(stale)
        partial.mkdir()
        bento.rename(partial / "bento")
        for model, folder in models.items():
            home = partial / "bento" / "models" / model.repository
            home.mkdir(parents=True, exist_ok=True)
            folder.rename(home / model.version)
            (home / "latest").write_text(model.version)
        _protect(partial)
        (partial / "environment").symlink_to(Path("../../environments") / _hex(environment))
        os.sync()
        partial.rename(image)

    def found(self, digest: str, *, reused: bool) -> Image:
        return Image(digest, self.image(digest).resolve().as_uri(), reused)

    def set_aside(self, unneeded: set[str]) -> list[str]:
        """Out of sight at once: renaming is quick, removing is not."""
        names = {_hex(each) for each in unneeded}
        trash, gone = self._made("trash"), []
        for kind in ("images", "environments", "unpacked"):
            for folder in sorted(self._made(kind).iterdir()):
                if folder.name.partition(".")[0] in names:
                    folder.rename(trash / uuid4().hex)
                    gone.append(f"{kind}/{folder.name}")
        return gone

    async def empty_trash(self) -> int:
        """How many bytes it took."""
        freed = 0
        for folder in self._made("trash").iterdir():
            freed += await asyncio.to_thread(size_of, folder)
            await asyncio.to_thread(remove, folder)
        return freed

    def _made(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _protect(folder: Path) -> None:
    """What is below it is for reading; itself it may still be moved.

    By everybody, whatever the umask and the archive said: what runs may be another user, and
    the folders above keep everybody else out.
    """
    folder.chmod(folder.stat().st_mode | _READING | _ENTERING)
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(at, name)  # noqa: PTH118 - tens of thousands of them
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                open_to_all = _READING | (_ENTERING if mode & stat.S_IXUSR else 0)
                wanted = mode & _PERMISSIONS & ~_WRITING | open_to_all
                os.chmod(path, wanted)  # noqa: PTH101 - same


def size_of(path: Path) -> int:
    """Of a file, or of all below a folder; links are not followed."""
    found = 0 if path.is_dir() or not path.exists() else path.lstat().st_size
    for at, _, files in os.walk(path):
        for name in files:
            with suppress(FileNotFoundError):
                found += os.lstat(os.path.join(at, name)).st_size  # noqa: PTH118 - many
    return found


def remove(folder: Path) -> None:
    """Also what was protected; what is not there is no error."""
    for at, _, _ in os.walk(folder):
        os.chmod(at, stat.S_IRWXU)  # noqa: PTH101 - before it is entered
    shutil.rmtree(folder, ignore_errors=True)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
