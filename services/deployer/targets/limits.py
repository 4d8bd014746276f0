"""The kernel keeps each process below what its service asked for, in a group named after it."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from libs.chassis.cgroups import CPU, MEMORY, Group, Groups, Limits
from libs.chassis.process import Command
from services.deployer.domain import resources

log = structlog.get_logger(__name__)

_GPU: Final = "processes see every one there is"
_SWITCHED_OFF: Final = "nobody looked whether it can be"
_NONE: Final = Limits()


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Without ``groups`` nothing is. ``refusals`` says why not, by the name of a resource."""

    groups: Groups | None = None
    refusals: Mapping[str, str] = field(
        default_factory=lambda: {
            resources.MEMORY: _SWITCHED_OFF,
            resources.CPU: _SWITCHED_OFF,
            resources.GPU: _GPU,
        }
    )

    @contextmanager
    def limiting(
        self, command: Command, name: str, asked: resources.Resources
    ) -> Iterator[Command]:
        """The command to start in the group, which goes when that does not work."""
        limits = self._limits(asked)
        if self.groups is None or limits == _NONE:
            yield command
            return
        group = self.groups.make(name, limits)
        try:
            yield replace(command, group=group)
        except BaseException:
            group.remove()
            raise

    def starved(self, name: str) -> bool:
        """Whether a process of the group was killed for the memory it took.

        A cluster ends all of them then: what is left may wait for the killed one forever.
        """
        group = self._group(name)
        return group is not None and group.starved

    async def end(self, name: str, *, weighed: Callable[[Group], None]) -> None:
        """Whatever is left in the group, and the group."""
        group = self._group(name)
        if group is not None:
            weighed(group)
            await _removed(name, group)

    async def sweep(self, kept: Collection[str]) -> None:
        """Groups without a process that is known, of deployers that were killed."""
        found = self.groups.found() if self.groups is not None else {}
        for name, group in found.items():
            if name not in kept:
                await _removed(name, group)

    def _group(self, name: str) -> Group | None:
        return self.groups.get(name) if self.groups is not None else None

    def _limits(self, asked: resources.Resources) -> Limits:
        return Limits(
            memory_bytes=None if resources.MEMORY in self.refusals else asked.memory_bytes,
            cpus=None if resources.CPU in self.refusals else asked.cpus,
        )


def enforcement(marker: str) -> Enforcement:
    """What is possible here, tried now. ``marker`` tells this platform's groups from others'."""
    groups = Groups(f"yokocho-run-{hashlib.sha256(marker.encode()).hexdigest()[:16]}-")
    found = groups.refusals()
    refusals = {resources.MEMORY: found.get(MEMORY), resources.CPU: found.get(CPU)}
    given = {name: why for name, why in refusals.items() if why}
    return Enforcement(groups, {**given, resources.GPU: _GPU})


async def _removed(name: str, group: Group) -> None:
    if not await group.removed(kill=True):
        log.warning("target.group_not_removed", replica_id=name)
