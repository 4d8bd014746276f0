"""Two JSON schemas of what a route takes or gives, and which difference callers will notice."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_HOPS: Final = 32
_NOTHING: Final[dict[str, Any]] = {}
_WORDS: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$defs", "definitions"}
)
"""For people, or looked at where they are referred to."""
_TYPES: Final = (
    *("type", "format", "kind", "dtype", "shape", "const"),
    *("content_type", "contentMediaType", "contentEncoding"),
)
_EITHER: Final = ("anyOf", "oneOf")
_TOGETHER: Final = ("allOf", "prefixItems")
_WITHIN: Final = (("items", "[]"), ("additionalProperties", "{}"))
_FLOORS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_CEILINGS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_PATTERNS: Final = ("pattern", "multipleOf", "uniqueItems")

Change = tuple[bool, str]
"""Whether it breaks callers, and what it is."""


class Document:
    """A schema with the definitions that its parts refer to."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._shapes: dict[int, str] = {}

    def resolved(self, part: Any) -> dict[str, Any]:
        """What a reference, or a lone ``allOf``, stands for."""
        node = part if isinstance(part, dict) else _NOTHING
        for _ in range(_HOPS):
            lone = sequence(node.get("allOf"))
            if isinstance(node.get("$ref"), str):
                node = self._at(node["$ref"])
            elif len(lone) == 1 and isinstance(lone[0], dict):
                node = lone[0]
            else:
                return node
        return _NOTHING

    def variants(self, part: Any) -> list[dict[str, Any]]:
        """Of ``anyOf`` each; else the one."""
        node = self.resolved(part)
        either = sequence(node.get("anyOf")) or sequence(node.get("oneOf"))
        return [self.resolved(each) for each in either] or [node]

    def shape(self, part: Any) -> str:
        """Equal where values of the one are values of the other; worked out once for each part."""
        node = self.resolved(part)
        if id(node) not in self._shapes:
            # Whoever comes here again meanwhile goes round in a circle.
            self._shapes[id(node)] = "again"
            said = {key: self._said(key, node[key]) for key in sorted(node.keys() - _WORDS)}
            text = json.dumps(said, sort_keys=True)
            self._shapes[id(node)] = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        return self._shapes[id(node)]

    def _said(self, key: str, value: Any) -> Any:
        if key == "properties":
            return {name: self.shape(each) for name, each in sorted(mapping(value).items())}
        if key in _EITHER:
            return sorted(map(self.shape, sequence(value)))
        if key in _TOGETHER:
            return [self.shape(each) for each in sequence(value)]
        if key == "required":
            return sorted(_names(value))
        return self.shape(value) if isinstance(value, dict) else value

    def _at(self, reference: str) -> dict[str, Any]:
        node: Any = self._root
        for name in reference.removeprefix("#").strip("/").split("/"):
            node = mapping(node).get(name.replace("~1", "/").replace("~0", "~"))
        return node if isinstance(node, dict) else _NOTHING


class Comparison:
    """``takes``: what callers send must still be right; else what they get."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any], *, takes: bool) -> None:
        self._roots = old, new
        self._old, self._new = Document(old), Document(new)
        self._takes = takes
        self._side = "input" if takes else "output"
        self._seen: set[tuple[int, int]] = set()

    def changes(self) -> list[Change]:
        """What several places share is said of the first."""
        try:
            self._old.shape(self._roots[0])
            self._new.shape(self._roots[1])
            return list(self._either(*self._roots, ""))
        except RecursionError:
            return [(True, f"{self._named('')} is nested too deeply to be compared")]

    def _either(self, old: Any, new: Any, path: str) -> Iterator[Change]:
        olds, news = self._old.variants(old), self._new.variants(new)
        before = {self._old.shape(each): each for each in olds}
        after = {self._new.shape(each): each for each in news}
        gone = [before[shape] for shape in before if shape not in after]
        come = [after[shape] for shape in after if shape not in before]
        alike = len(gone) == len(come) == 1 and gone[0].get("type") == come[0].get("type")
        if alike or len(olds) == len(news) == 1:
            yield from self._one((gone or olds)[0], (come or news)[0], path)
            return
        for each in gone:
            yield self._takes, f"{self._named(path)} is {_said(each)} no more"
        for each in come:
            yield not self._takes, f"{self._named(path)} may be {_said(each)} now"

    def _one(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
        pair = id(old), id(new)
        if pair in self._seen or self._old.shape(old) == self._new.shape(new):
            return
        self._seen.add(pair)
        if any(old.get(key) != new.get(key) for key in _TYPES):
            yield True, f"{self._named(path)} was {_said(old)} and is {_said(new)}"
            return
        yield from self._listed(old, new, self._named(path))
        yield from self._properties(old, new, path)
        for key, mark in _WITHIN:
            parts = old.get(key), new.get(key)
            if False not in parts and any(isinstance(each, dict) for each in parts):
                yield from self._either(*parts, f"{path}{mark}")

    def _listed(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Change]:
        """What is no part with a place of its own."""
        before, after = (_texts(each.get("enum")) for each in (old, new))
        if before != after:
            lost, won = before - after, after - before
            narrower = bool(lost and after) or not before
            wider = bool(won and before) or not after
            breaking = narrower if self._takes else wider
            yield breaking, f"{at} has other values: {_few(lost, won)}"
        for key in _TOGETHER:
            shapes = [
                [document.shape(each) for each in sequence(schema.get(key))]
                for document, schema in ((self._old, old), (self._new, new))
            ]
            if shapes[0] != shapes[1]:
                yield True, f"{at} is put together otherwise"
        if self._takes:
            yield from _limits(old, new, at)

    def _properties(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
        was, becomes = mapping(old.get("properties")), mapping(new.get("properties"))
        needed, needs = _names(old.get("required")), _names(new.get("required"))
        for name in sorted(becomes.keys() - was.keys()):
            at = self._named(_below(path, name))
            if not self._takes:
                yield False, f"{at} is new"
            elif name in needs:
                yield True, f"{at} is new and must be given"
            else:
                yield False, f"{at} is new and may be left out"
        for name in sorted(was.keys() - becomes.keys()):
            at = self._named(_below(path, name))
            yield True, f"{at} is {'taken' if self._takes else 'given'} no more"
        for name in sorted(was.keys() & becomes.keys()):
            at = self._named(_below(path, name))
            if self._takes and name in needs - needed:
                yield True, f"{at} must be given now"
            if not self._takes and name in needed - needs:
                yield True, f"{at} may be left out now"
            yield from self._either(was[name], becomes[name], _below(path, name))

    def _named(self, path: str) -> str:
        return f"{self._side} '{path}'" if path else f"the {self._side}"


def mapping(value: Any) -> dict[str, Any]:
    """A manifest is whatever a client sent."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _limits(old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> Iterator[Change]:
    for key in (*_FLOORS, *_CEILINGS, *_PATTERNS):
        before, after = old.get(key), new.get(key)
        if before != after:
            was, becomes = ("none" if each is None else each for each in (before, after))
            yield _is_tighter(key, before, after), f"{at} had {key} {was} and has {becomes}"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield True, f"{at} takes no other properties any more"


def _is_tighter(key: str, before: Any, after: Any) -> bool:
    if isinstance(before, int | float) and isinstance(after, int | float):
        if key in _FLOORS:
            return after > before
        if key in _CEILINGS:
            return after < before
    return after is not None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _said(schema: Mapping[str, Any]) -> str:
    found = [schema[key] for key in ("type", "kind", "const") if schema.get(key) is not None]
    more = [str(schema[key]) for key in ("format", "dtype", "shape") if schema.get(key)]
    return " ".join([str(found[0]) if found else "anything", *more])


def _texts(value: Any) -> set[str]:
    return {json.dumps(each, ensure_ascii=False) for each in sequence(value)}


def _names(value: Any) -> set[str]:
    return {each for each in sequence(value) if isinstance(each, str)}


def _few(lost: set[str], won: set[str]) -> str:
    return ", ".join([f"-{each}" for each in sorted(lost)] + [f"+{each}" for each in sorted(won)])
