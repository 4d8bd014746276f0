"""The table that requests are routed by: in memory, so that nothing else has to be up."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.gateway.domain import Route, State

_Name = tuple[str, str]
_EMPTY: Final[MappingProxyType[_Name, Route]] = MappingProxyType({})


class DataPlane:
    """Replaced as a whole: a request sees one version of the table or the next, never both."""

    def __init__(self) -> None:
        self._routes: dict[UUID, Route] = {}
        self._by_name: MappingProxyType[_Name, Route] = _EMPTY
        self.version = 0

    @property
    def is_loaded(self) -> bool:
        return self.version > 0

    def find(self, namespace: str, deployment: str) -> Route | None:
        return self._by_name.get((namespace, deployment))

    def apply(self, routes: Iterable[Route], *, version: int, whole: bool) -> None:
        """Follow the database to ``version``; what is not in a ``whole`` table is forgotten."""
        following = {} if whole else dict(self._routes)
        for route in routes:
            if route.state is State.DELETED:
                following.pop(route.deployment_id, None)
            else:
                following[route.deployment_id] = route
        # Ids are in the order of their making: of two with one name the later one has it.
        ordered = sorted(following.values(), key=lambda each: each.deployment_id)
        self._routes = following
        self._by_name = MappingProxyType(
            {(each.namespace, each.deployment): each for each in ordered}
        )
        self.version = version

    def upstreams(self) -> frozenset[str]:
        """Every address that a request may still be sent to."""
        return frozenset(url for each in self._by_name.values() for url in each.upstreams)
