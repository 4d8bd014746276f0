"""What is said about an image, by what its build knows of it. Nothing is asked for here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from libs.contracts.types import digest_of
from services.builder import plan
from services.builder.domain import Contents, Due
from services.builder.oci import Descriptor
from services.builder.service.pushing import Destination
from services.builder.supply.debian import packages_of
from services.builder.supply.provenance import Inputs, Lock, Run, statement_of
from services.builder.supply.sbom import Contents as Inside
from services.builder.supply.sbom import bill_of
from services.builder.supply.values import Base, Bento, Model, Pin, Subject, pins_of
from services.builder.supply.wheels import wheel_of

_BUILDER: Final = "https://yokocho.dev/builder"


@dataclass(frozen=True, slots=True)
class Platform:
    """One image of one platform, as it was planned. ``lock`` is its text."""

    name: str
    base: Base | None = None
    python: str = ""
    lock: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """One image, or an index of several."""

    due: Due
    subject: Subject
    platforms: tuple[Platform, ...]

    def statement(self) -> bytes:
        """How it was made, when and by which build."""
        due = self.due
        run = Run(invocation=str(due.order.id), started=due.started_at, finished=due.ended_at)
        return statement_of(self._inputs(), run)

    def bill(self, read: Sequence[Contents]) -> bytes:
        """Of all layers together: what is in a higher one hides what lies below it."""
        only = self.platforms[0]
        debian = [each.debian for each in read if each.debian is not None]
        distributions = [each.distribution for each in read if each.distribution is not None]
        heads = [wheel_of(head.encode()) for each in read for head in each.wheels]
        wheels = {each.name: each for each in heads}
        return bill_of(
            Inside(
                image=self.subject,
                bento=self._bento(),
                platform=only.name,
                python=only.python or "3",
                base=only.base,
                debian=packages_of(debian[-1]) if debian else (),
                models=self._models(),
                pins=pins_of(only.lock),
                wheels=tuple(wheels[name] for name in sorted(wheels)),
                distribution=distributions[-1] if distributions else "debian",
            )
        )

    def _inputs(self) -> Inputs:
        several = len(self.platforms) > 1
        pins: set[Pin] = {pin for each in self.platforms for pin in pins_of(each.lock)}
        return Inputs(
            image=self.subject,
            strategy=self.due.strategy,  # type: ignore[arg-type]  # one of its words
            platforms=tuple(each.name for each in self.platforms),
            bento=self._bento(),
            options={},
            secrets=tuple(self.due.plan["given"]),
            models=self._models(),
            base=None if several else self.platforms[0].base,
            locks=tuple(
                Lock(digest=digest_of(each.lock.encode()), platform=each.name)
                for each in self.platforms
                if each.lock
            ),
            pins=tuple(pins),
            python=self.platforms[0].python or None,
            planner=str(plan.FORMAT),
            plan=self.due.plan_digest,
            builder=_BUILDER,
            version=version("yokocho"),
        )

    def _bento(self) -> Bento:
        order = self.due.order
        return Bento(repository=order.repository, version=order.version, digest=order.bento_digest)

    def _models(self) -> tuple[Model, ...]:
        return tuple(
            Model(repository=each.repository, version=each.version, digest=each.digest)
            for each in self.due.order.models
        )


def plans_of(due: Due) -> list[dict[str, Any]]:
    """One for each platform, as they were stored."""
    found = due.plan["plan"]
    return [dict(each) for each in (found if isinstance(found, list) else [found])]


def subject_of(to: Destination, described: Descriptor) -> Subject:
    host = f"{to.registry}/" if to.registry else ""
    return Subject(name=f"{host}{to.repository}", digest=described.digest)
