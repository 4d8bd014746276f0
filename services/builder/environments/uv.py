"""uv and the interpreters it finds."""

import asyncio
import json
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from libs.chassis.errors import ServiceError
from services.builder.domain import NOTHING, Given, Interpreter, Target
from services.builder.environments.children import Children
from services.builder.environments.folders import remove
from services.builder.errors import BuilderFullError, BuildFailedError, IndexUnreachableError

_OWN: Final = f"cpython-{platform.python_version()}    {sys.base_prefix} (the platform's own)"
_NO_BUILD: Final = re.compile(r"[Bb]uilding (?:from source|source distributions) is disabled")
_NO_WHEEL: Final = re.compile(
    r"no usable wheels|no wheels with a matching|only-binary|[Bb]uilding .*is disabled"
)
_UNREACHABLE: Final = re.compile(
    r"error sending request|Request failed after \d+ retries|HTTP status server error|timed out"
)
_FULL: Final = re.compile(r"No space left on device|[Dd]isk quota exceeded")
_ASK: Final = (
    "import json,platform,sysconfig;"
    "print(json.dumps([platform.python_version(), sysconfig.get_platform()]))"
)


class NeedsBuildingError(Exception):
    """A package of the lock has no wheel that fits."""


class Uv:
    def __init__(self, children: Children, *, index_url: str | None = None) -> None:
        self._children = children
        self._uv = program()
        self._index = ("--default-index", index_url) if index_url else ()

    async def interpreter(self, version: str, log: Path) -> Interpreter:
        own = Path(sys.base_prefix) / "bin" / f"python{version}"
        path = str(own)
        if not own.exists():
            find = (self._uv, "python", "find", "--no-project", "--system", version)
            code, out, _ = await self._children.run(find, log)
            if code:
                _, listed, _ = await self._children.run(
                    (self._uv, "python", "list", "--only-installed"), log
                )
                raise BuildFailedError(
                    "python-version-absent",
                    f"Python {version} is not installed; these are:\n{_OWN}\n{listed}",
                )
            path = out.strip()
        code, out, error = await self._children.run((path, "-I", "-c", _ASK), log)
        if code:
            raise BuildFailedError("python-version-absent", error)
        exact, tag = json.loads(out)
        return Interpreter(path=path, version=exact, platform=tag)

    async def compile(
        self,
        requirements: str,
        chosen: Interpreter | Target,
        work: Path,
        *,
        log: Path,
        given: Given = NOTHING,
    ) -> str:
        """The lock: every package with its version and hashes. For a target of wheels alone.

        Raises ``NeedsBuildingError`` where a target's package has none.
        """
        asked, lock = work / "requirements.in", work / "requirements.lock"
        asked.write_text(requirements)
        argv = (self._uv, "pip", "compile", str(asked), "-o", str(lock), "--generate-hashes")
        more = (*_which(chosen), "--no-header", "--no-annotate", "-q", *self._at(given))
        code, _, error = await self._children.run((*argv, *more), log, cwd=work, given=given)
        if code and isinstance(chosen, Target) and _NO_WHEEL.search(error):
            raise NeedsBuildingError(error.strip())
        if code:
            raise _passing(error) or BuildFailedError("requirements-unresolvable", error)
        return lock.read_text()

    async def lay_out(
        self, lock: str, target: Target, folder: Path, *, log: Path, given: Given = NOTHING
    ) -> None:
        """The wheels of ``lock`` below ``folder``, as in an environment; no code of theirs runs.

        Files are shared with uv's cache: they are for reading only.
        """
        await asyncio.to_thread(remove, folder)
        folder.mkdir()
        locked = folder.with_suffix(".lock")
        locked.write_text(lock)
        argv = (
            self._uv,
            "pip",
            "install",
            "-q",
            "--no-config",
            "--no-deps",
            "--prefix",
            str(folder),
        )
        more = ("--require-hashes", "--link-mode", "hardlink", "-r", str(locked), *self._at(given))
        code, _, error = await self._children.run((*argv, *more, *_which(target)), log, given=given)
        if code and _NO_WHEEL.search(error):
            raise NeedsBuildingError(error.strip())
        if code:
            raise _passing(error) or BuildFailedError("requirements-not-installable", error)

    async def install(
        self,
        lock: str,
        python: Interpreter,
        folder: Path,
        *,
        log: Path,
        wheels_only: bool,
        given: Given = NOTHING,
    ) -> None:
        """From scratch: what an interrupted build left there is not trusted.

        Raises ``NeedsBuildingError`` when ``wheels_only`` cannot be, before any code of a
        package has run.
        """
        await asyncio.to_thread(remove, folder)
        venv = (self._uv, "venv", "--relocatable", "--no-project", "--python", python.path)
        code, _, error = await self._children.run((*venv, str(folder)), log)
        if code:
            raise BuildFailedError("environment-failed", error)
        locked = folder / "requirements.lock"
        locked.write_text(lock)
        inside = str(folder / "bin" / "python")
        sync = (self._uv, "pip", "sync", str(locked), "--require-hashes", "--link-mode", "copy")
        more = ("--no-build",) if wheels_only else ()
        code, _, error = await self._children.run(
            (*sync, *more, "--python", inside, *self._at(given)), log, given=given
        )
        if code and wheels_only and _NO_BUILD.search(error):
            await asyncio.to_thread(remove, folder)
            raise NeedsBuildingError(error.strip().splitlines()[-1])
        if code:
            raise _passing(error) or BuildFailedError("requirements-not-installable", error)
        # Files that do not compile are a package's templates: whoever imports them hears it.
        compiled = ("-m", "compileall", "-q", "-j", "0", "-x", "/tests?/", str(folder / "lib"))
        await self._children.run((inside, *compiled), log)

    def _at(self, given: Given) -> tuple[str, ...]:
        """The index of the settings, unless a secret names another."""
        return () if "UV_DEFAULT_INDEX" in given.variables else self._index


def program() -> str:
    """Uv that came with the platform, or else that of the machine."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def _which(chosen: Interpreter | Target) -> tuple[str, ...]:
    if isinstance(chosen, Interpreter):
        return ("--python", chosen.path)
    which = ("--python-version", chosen.version, "--python-platform", chosen.platform)
    return ("--python", sys.executable, *which, "--only-binary", ":all:")


def _passing(error: str) -> ServiceError | None:
    """A failure that another attempt may not meet."""
    if _FULL.search(error):
        return BuilderFullError(error)
    return IndexUnreachableError(error) if _UNREACHABLE.search(error) else None
