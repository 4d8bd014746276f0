"""Which deployments of an organisation somebody wants to see: BentoML's ``q`` grammar."""

from dataclasses import dataclass, field

from services.deployer.domain.deployment import Deployment
from services.deployer.errors import FilterInvalidError


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything, unless told otherwise. A label with no value is asked to be there at all."""

    start: int = 0
    count: int | None = None
    words: tuple[str, ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    without: frozenset[str] = field(default_factory=frozenset)
    nothing: bool = False

    def takes(self, deployment: Deployment) -> bool:
        has = {each["key"]: each["value"] for each in deployment.labels}
        return (
            not self.nothing
            and all(word in deployment.address.wire for word in self.words)
            and all(
                key in has and (value is None or has[key] == value) for key, value in self.labels
            )
            and not self.without & has.keys()
        )


def selection_of(q: str, search: str, *, start: int = 0, count: int | None = None) -> Selection:
    """Words, ``label:key=value``, ``label:key``, ``-label:key`` and ``is:dev``; others are refused.

    Nothing here is a development deployment, so ``is:dev`` selects nothing and ``not:dev`` all.
    """
    words = search.split()
    labels: list[tuple[str, str | None]] = []
    without: set[str] = set()
    nothing = False
    for term in q.split():
        key, colon, value = term.partition(":")
        if not colon:
            words.append(term)
        elif key == "label":
            name, equals, wanted = value.partition("=")
            labels.append((name, wanted if equals else None))
        elif key == "-label":
            without.add(value)
        elif (key, value) == ("is", "dev"):
            nothing = True
        elif (key, value) != ("not", "dev"):
            raise FilterInvalidError("q", f"'{term[:80]}' is not understood")
    return Selection(start, count, tuple(words), tuple(labels), frozenset(without), nothing)
