"""The commands of one build, and what is told of them."""

import inspect
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.builder.containers.child import SEEN, Child
from services.builder.containers.recipe import Recipe
from services.builder.containers.workspace import AUTHFILE, BASE, SCRATCH, SEEN_AT
from services.builder.domain.masking import Mask
from services.builder.errors import BuildFailedError
from services.builder.oci import Door

Sink = Callable[[str], Awaitable[None] | None]
_REASON_LINES: Final = 20
_ID: Final = re.compile(r"[0-9a-f]{64}")


class Log:
    """Passes lines on, and remembers the last ones as the reason of a failure."""

    def __init__(self, recipe: Recipe, sink: Sink) -> None:
        self._mask = Mask(list(recipe.secrets.values()))
        self._sink = sink
        self._last: deque[str] = deque(maxlen=_REASON_LINES)

    @property
    def reason(self) -> str:
        return "\n".join(self._last)

    async def feed(self, chunk: bytes) -> None:
        await self._tell(self._mask.feed(chunk))

    async def end(self) -> None:
        await self._tell(self._mask.end())

    async def note(self, line: str) -> None:
        """Of ours, between what commands say."""
        await self._tell(iter([line]))

    async def _tell(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._last.append(line)
            told = self._sink(line)
            if inspect.isawaitable(told):
                await told


@dataclass(frozen=True, slots=True)
class Steps:
    """The commands of one build."""

    child: Child
    files: Path
    storage: tuple[str, ...]
    log: Log
    groups: tuple[Path, ...]
    door: Door | None = None

    async def pull(self, recipe: Recipe) -> str:
        """The id of the base image, which says what it is and not where it was."""
        local = isinstance(recipe.base, Path)
        source = f"oci:{BASE}" if local else f"docker://{recipe.base}"
        more = (*self._policy, *_tls(recipe), "--platform", recipe.platform, "--quiet")
        command = self._there(*self.storage, "pull", *more, source)
        code, said = await self.child.ask(*command, env=self._env)
        words = said.split()
        if code or not words or not _ID.fullmatch(words[-1]):
            raise BuildFailedError("base-image-missing", said.strip())
        return words[-1]

    async def build(self, recipe: Recipe, fixed: tuple[str, ...], *, network: bool) -> None:
        given = [f"--label={name}={value}" for name, value in recipe.labels.items()]
        given += [
            f"--secret=id={name},src={self._seen}/secrets/{number}"
            for number, name in enumerate(recipe.secrets)
        ]
        kept = ("--cache-to", self.door.name) if self.door is not None else ()
        options = (*fixed, *given, *kept, "--iidfile", f"{self._seen}/iid")
        await self._build(recipe, *options, file="Dockerfile", network=network)

    async def begin(self, recipe: Recipe, fixed: tuple[str, ...], *, file: str) -> None:
        """Layers are in the storage afterwards that ``build`` would not look for elsewhere."""
        await self._build(recipe, *fixed, file=file, network=True)

    async def _build(self, recipe: Recipe, *options: str, file: str, network: bool) -> None:
        same = ("--format", "oci", "--timestamp", "0", "--identity-label=false", "--layers")
        locked = ("--cap-drop", "CAP_SYS_CHROOT")  # which leads out of a chroot
        seen = ("--volume", f"{self._seen}/settings:{SEEN_AT}:ro", "--file", file)
        pull = ("--pull-never",) if recipe.base is not None else _tls(recipe)
        anew = ("--no-cache",) if recipe.fresh else ()
        given = [f"--build-arg={name}={value}" for name, value in recipe.build_args.items()]
        through: tuple[str, ...] = ()
        if self.door is not None:
            authfile = f"{self._seen}/{AUTHFILE}"
            through = ("--cache-from", self.door.name, "--authfile", authfile)
        fixed = (*same, *locked, *self._policy, *pull, *anew, *seen, *given, *through)
        where = ("--platform", recipe.platform, f"{self._seen}/context")
        await self._run("build", *fixed, *options, *where, network=network)

    @property
    def iid(self) -> Path:
        """Where the id of what was built is, once it is."""
        return self.files / "iid"

    @property
    def kept(self) -> Path:
        """Where layers are that other builds find, too."""
        root = self.storage[self.storage.index("--root") + 1]
        return self.files.parents[1] / Path(root).relative_to(SEEN)

    async def export(self) -> None:
        built = self.iid.read_text().strip()
        policy = (*self._policy, "--format", "oci", "--quiet")
        await self._run("push", *policy, "--disable-compression", built, f"dir:{self._seen}/out")

    async def _run(self, *argv: str, network: bool = True) -> None:
        code = await self.child.run(
            *self._there(*self.storage, *argv),
            groups=self.groups,
            network=network,
            env=self._env,
            output=self.log.feed,
        )
        await self.log.end()
        if code:
            raise BuildFailedError("image-build-failed", self.log.reason)

    def _there(self, *argv: str) -> tuple[str, ...]:
        """In the build's folder: a path that names it would get into the history of its layers."""
        return ("sh", "-c", 'cd "$0" && exec "$@"', self._seen, *argv)

    @property
    def _seen(self) -> str:
        return f"{SEEN}/builds/{self.files.name}"

    @property
    def _env(self) -> dict[str, str]:
        """Nothing of this build is kept outside of its folder, caches of its commands included."""
        return {
            "TMPDIR": f"{self._seen}/{SCRATCH}",
            "CONTAINERS_REGISTRIES_CONF": f"{self._seen}/registries.conf",
            **self._notes,
        }

    @property
    def _notes(self) -> dict[str, str]:
        """Where it writes down what is behind the door, or it would send the base image each time.

        To whom it believes to be root it gives a folder of the machine's.
        """
        if self.door is None:
            return {}
        return {
            "XDG_DATA_HOME": f"{self._seen}/{SCRATCH}",
            "_CONTAINERS_ROOTLESS_UID": "1",
        }

    @property
    def _policy(self) -> tuple[str, ...]:
        return ("--signature-policy", f"{self._seen}/policy.json")


def _tls(recipe: Recipe) -> tuple[str, ...]:
    return ("--tls-verify=false",) if recipe.plain_http else ()
