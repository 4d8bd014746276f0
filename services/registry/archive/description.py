"""A description that anybody may have written: read as a stream, and never made into objects."""

from typing import Final

from yaml import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    CSafeLoader,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    YAMLError,
    parse,
)

from services.registry.errors import ArchiveRefusedError

_NODES: Final = 200_000
"""With everything that an alias stands for: aliases of aliases multiply."""
_DEPTH: Final = 100
"""Whoever loads it recurses, and in C that ends the process."""
_MERGE: Final = "<<"


def top_of(content: bytes) -> dict[str, str | None]:
    """The plain values at its top; None where there is more. Raises ``ArchiveRefusedError``."""
    reading = _Reading()
    try:
        for event in parse(content, Loader=CSafeLoader):
            reading.take(event)
    except (YAMLError, ValueError) as error:
        raise ArchiveRefusedError(f"its description is no YAML: {error}") from error
    if not reading.is_mapping:
        raise ArchiveRefusedError("its description is no mapping")
    keys, values = reading.top[::2], reading.top[1::2]
    return {key: value for key, value in zip(keys, values, strict=True) if key is not None}


class _Reading:
    def __init__(self) -> None:
        self.top: list[str | None] = []
        """Keys and values in turns."""
        self.is_mapping = False
        self._open: list[tuple[str | None, int]] = []
        self._nodes = 0
        self._weights: dict[str, int] = {}
        """Of each anchor: how many nodes an alias of it stands for."""
        self._documents = 0

    def take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
        elif isinstance(event, CollectionStartEvent):
            self.is_mapping |= not self._open and isinstance(event, MappingStartEvent)
            self._open.append((event.anchor, self._nodes))
            self._nodes += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, since = self._open.pop()
            self._ended(None, anchor, self._nodes - since)
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, AliasEvent):
            # What is still open would stand for itself without an end.
            self._nodes += self._weights.get(event.anchor or "", _NODES)
            self._ended(None, None, 0)
        if self._nodes > _NODES or len(self._open) > _DEPTH or self._documents > 1:
            raise ArchiveRefusedError("its description is more than anybody would write")

    def _scalar(self, event: ScalarEvent) -> None:
        if event.value == _MERGE and event.implicit[0]:
            raise ArchiveRefusedError("its description merges mappings")
        self._nodes += 1
        self._ended(event.value, event.anchor, 1)

    def _ended(self, value: str | None, anchor: str | None, weight: int) -> None:
        if anchor is not None:
            self._weights[anchor] = weight
        if len(self._open) == 1:
            self.top.append(value)
