"""uv and the interpreters it finds, run with an environment that is listed here."""

import asyncio
import json
import os
import platform
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.chassis.errors import ServiceError
from libs.chassis.isolation import prefixes_of
from services.builder.domain import NOTHING, Given, Interpreter, Target
from services.builder.environments.children import Children
from services.builder.environments.confined import Confinement, Shown
from services.builder.environments.folders import remove
from services.builder.errors import BuilderFullError, BuildFailedError, IndexUnreachableError

_OWN: Final = f"cpython-{platform.python_version()}    {sys.base_prefix} (the platform's own)"
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
    """``index_url`` may hold a password: neither logs nor lists of processes show it."""

    def __init__(
        self, children: Children, confined: Confinement, *, index_url: str | None = None
    ) -> None:
        self._children = children
        self._confined = confined
        self._uv = program()
        self._env = {"UV_DEFAULT_INDEX": index_url} if index_url else {}

    @property
    def isolates(self) -> bool:
        """Whether code of packages sees its own files only."""
        return self._confined.isolation.isolates

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
        built_for: UUID | None = None,
    ) -> str:
        """The lock: every package with its version and hashes.

        Raises ``NeedsBuildingError`` where wheels alone do not describe what is asked for, unless
        it is ``built_for`` an organisation: then code of packages may run.
        """
        room = self._confined.room(built_for, work) if built_for is not None else None
        folder = work if room is None else room.home
        asked, lock = folder / "requirements.in", folder / "requirements.lock"
        asked.write_text(requirements)
        compiled = (self._uv, "pip", "compile", str(asked), "-o", str(lock), "--generate-hashes")
        more = ("--no-header", "--no-annotate", "-q")
        argv = (*compiled, *_which(chosen, build=room is not None), *more)
        if room is None:
            code, _, error = await self._children.run(
                argv, log, cwd=work, env=self._env, given=given
            )
        else:
            path = chosen.path if isinstance(chosen, Interpreter) else sys.executable
            readable = self._readable(Path(path))
            code, _, error = await self._confined.run(
                argv, log, room=room, readable=readable, env=self._env, given=given
            )
        if code and room is None and _NO_WHEEL.search(error):
            raise NeedsBuildingError(error.strip())
        if code:
            raise _passing(error) or BuildFailedError("requirements-unresolvable", error)
        return _text(lock)

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
        more = ("--require-hashes", "--link-mode", "hardlink", "-r", str(locked))
        code, _, error = await self._children.run(
            (*argv, *more, *_which(target)), log, env=self._env, given=given
        )
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
        work: Path,
        log: Path,
        given: Given = NOTHING,
        built_for: UUID | None = None,
    ) -> None:
        """From scratch: what an interrupted build left there is not trusted.

        Raises ``NeedsBuildingError`` when wheels do not suffice, before any code of a package has
        run, unless it is ``built_for`` an organisation.
        """
        room = self._confined.room(built_for, work) if built_for is not None else None
        await asyncio.to_thread(remove, folder)
        venv = (self._uv, "venv", "--relocatable", "--no-project", "--python", python.path)
        code, _, error = await self._children.run((*venv, str(folder)), log)
        if code:
            raise BuildFailedError("environment-failed", error)
        locked, inner = folder / "requirements.lock", folder / "bin" / "python"
        locked.write_text(lock)
        interpreter, readable = inner.readlink(), self._readable(inner, Path(python.path))

        async def inside(*argv: str) -> tuple[int, str, str]:
            if room is None:
                return await self._children.run(argv, log, env=self._env, given=given)
            shown: Shown = {"room": room, "readable": readable, "writable": (folder,)}
            return await self._confined.run(argv, log, env=self._env, given=given, **shown)

        sync = (self._uv, "pip", "sync", str(locked), "--require-hashes", "--link-mode", "copy")
        more = ("--python", str(inner), *(("--no-build",) if room is None else ()))
        code, _, error = await inside(*sync, *more)
        if code and room is None and _NO_WHEEL.search(error):
            await asyncio.to_thread(remove, folder)
            raise NeedsBuildingError(error.strip().splitlines()[-1])
        if code:
            raise _passing(error) or BuildFailedError("requirements-not-installable", error)
        # By the interpreter that was there before, without what packages would have it run.
        # Files that do not compile are a package's templates: whoever imports them hears it.
        compiled = ("-I", "-S", "-m", "compileall", "-q", "-j", "0", "-x", "/tests?/")
        await inside(python.path, *compiled, str(folder / "lib"))
        _require_same(inner, interpreter)

    def _readable(self, *programs: Path) -> list[Path]:
        prefixes = [each for program in programs for each in prefixes_of(program)]
        return [Path(self._uv), *prefixes]


def program() -> str:
    """Uv that came with the platform, or else that of the machine."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def _which(chosen: Interpreter | Target, *, build: bool = False) -> tuple[str, ...]:
    if isinstance(chosen, Interpreter):
        return ("--python", chosen.path, *(() if build else ("--no-build",)))
    which = ("--python-version", chosen.version, "--python-platform", chosen.platform)
    return ("--python", sys.executable, *which, "--only-binary", ":all:")


def _passing(error: str) -> ServiceError | None:
    """A failure that another attempt may not meet."""
    if _FULL.search(error):
        return BuilderFullError(error)
    return IndexUnreachableError(error) if _UNREACHABLE.search(error) else None


def _require_same(program: Path, interpreter: Path) -> None:
    """What packages put in its place would be looked up, and shown, by whoever runs it."""
    if program.parent.is_symlink() or not program.is_symlink() or program.readlink() != interpreter:
        reason = "a package replaced the environment's interpreter"
        raise BuildFailedError("requirements-not-installable", reason)


def _text(file: Path) -> str:
    """What lies where packages may write: not what a link of theirs leads to."""
    at = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(at) as opened:
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise BuildFailedError("requirements-unresolvable", "the lock is no file")
        return opened.read()
