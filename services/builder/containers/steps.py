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
from services.builder.containers.workspace import SCRATCH, SEEN_AT
from services.builder.domain.masking import Mask
from services.builder.errors import BuildFailedError

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

    async def pull(self, recipe: Recipe) -> str:
        """The id of the base image, which says what it is and not where it was."""
        local = isinstance(recipe.base, Path)
        source = f"oci:{self._seen}/base" if local else f"docker://{recipe.base}"
        more = (*self._policy, *_tls(recipe), "--platform", recipe.platform, "--quiet")
        code, said = await self.child.ask(*self.storage, "pull", *more, source, env=self._env)
        words = said.split()
        if code or not words or not _ID.fullmatch(words[-1]):
            raise BuildFailedError("base-image-missing", said.strip())
        return words[-1]

    async def build(self, recipe: Recipe, fixed: tuple[str, ...], *, network: bool) -> None:
        given = [f"--build-arg={name}={value}" for name, value in recipe.build_args.items()]
        given += [f"--label={name}={value}" for name, value in recipe.labels.items()]
        given += [
            f"--secret=id={name},src={self._seen}/secrets/{number}"
            for number, name in enumerate(recipe.secrets)
        ]
        same = ("--format", "oci", "--timestamp", "0", "--identity-label=false", "--layers")
        locked = ("--cap-drop", "CAP_SYS_CHROOT")  # which leads out of a chroot
        seen = ("--volume", f"{self._seen}/settings:{SEEN_AT}:ro", "--file", "Dockerfile")
        pull = ("--pull-never",) if recipe.base is not None else ()
        where = ("--iidfile", f"{self._seen}/iid", f"{self._seen}/context")
        options = (*same, *locked, *fixed, *self._policy, *_tls(recipe), *pull, *seen, *given)
        platform = ("--platform", recipe.platform)
        await self._run("build", *options, *platform, *where, network=network)

    async def export(self) -> None:
        built = (self.files / "iid").read_text().strip()
        policy = (*self._policy, "--format", "oci", "--quiet")
        await self._run("push", *policy, "--disable-compression", built, f"dir:{self._seen}/out")

    async def _run(self, *argv: str, network: bool = True) -> None:
        code = await self.child.run(
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            self._seen,
            *self.storage,
            *argv,
            groups=self.groups,
            network=network,
            env=self._env,
            output=self.log.feed,
        )
        await self.log.end()
        if code:
            raise BuildFailedError("image-build-failed", self.log.reason)

    @property
    def _seen(self) -> str:
        return f"{SEEN}/builds/{self.files.name}"

    @property
    def _env(self) -> dict[str, str]:
        """Nothing of this build is kept outside of its folder, caches of its commands included."""
        return {
            "TMPDIR": f"{self._seen}/{SCRATCH}",
            "CONTAINERS_REGISTRIES_CONF": f"{self._seen}/registries.conf",
        }

    @property
    def _policy(self) -> tuple[str, ...]:
        return ("--signature-policy", f"{self._seen}/policy.json")


def _tls(recipe: Recipe) -> tuple[str, ...]:
    return ("--tls-verify=false",) if recipe.plain_http else ()
