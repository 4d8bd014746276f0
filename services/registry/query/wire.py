"""The ``q`` of BentoML's lists, as Yatai had it: ``iris label:team=a -label:old``."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.registry.query.grammar import QueryError

_MOST_TERMS: Final = 32
_LONGEST: Final = 4096
_SORTS: Final = {
    "created_at": "v.created_at",
    "build_at": "v.build_at",
    "size": "(SELECT b.size_bytes FROM blob b WHERE b.digest = v.digest)",
}
_FIELDS: Final = {"name": ("r.name", "v.version"), "description": ("v.description",)}
_LIKE: Final = re.compile(r"[\\%_]")
_NEWEST: Final = "v.created_at DESC, v.id DESC"


@dataclass(frozen=True, slots=True)
class Filter:
    """SQL over ``version v`` and ``repository r``; ``values`` begin where it was said."""

    where: str
    order: str
    values: tuple[Any, ...]
    counted: Literal["live", "uploaded"] | None = None
    """Such versions are counted already, in each repository."""


@dataclass(frozen=True, slots=True)
class Term:
    """Any of ``values`` will do; none of them, where it is ``negated``."""

    key: str
    values: tuple[str, ...]
    negated: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True)
class WireQuery:
    """All of ``terms`` must hold. Words are looked for in ``fields``."""

    terms: tuple[Term, ...] = ()
    fields: tuple[str, ...] = ("name",)
    order: str = _NEWEST


UPLOADED: Final = Term("status", ("success",))
"""What clients are shown: they take whatever comes first."""
_COUNTED: Final[dict[tuple[Term, ...], Literal["live", "uploaded"]]] = {
    (): "live",
    (UPLOADED,): "uploaded",
}


def parse_wire(text: str) -> WireQuery:
    """Raises ``QueryError`` with the place of a term that is not understood."""
    if len(text) > _LONGEST:
        raise QueryError(f"a query has at most {_LONGEST} characters", _LONGEST)
    terms: list[Term] = []
    fields: tuple[str, ...] = ("name",)
    order = _NEWEST
    for at, term in _split(text):
        negated = term.startswith("-") and len(term) > 1
        key, values = _keyed(term[1:] if negated else term, at)
        if key == "sort":
            order = _order(values, at)
        elif key == "in":
            fields = _fields(values, at)
        else:
            terms.append(_term(key, values, negated=negated, at=at))
    if len(terms) > _MOST_TERMS:
        raise QueryError(f"a query has at most {_MOST_TERMS} terms", terms[_MOST_TERMS].at)
    return WireQuery(tuple(terms), fields, order)


def compile_wire(query: WireQuery, *, first: int, me: str) -> Filter:
    """``me`` is whom ``creator:@me`` means."""
    values: list[Any] = []

    def value(given: str) -> str:
        values.append(given)
        return f"${first + len(values) - 1}::text"

    conditions = ["true"]
    for term in query.terms:
        each = " OR ".join(_condition(term.key, one, query, me, value) for one in term.values)
        conditions.append(f"{'NOT ' if term.negated else ''}({each})")
    counted = _COUNTED.get(query.terms)
    return Filter(" AND ".join(conditions), query.order, tuple(values), counted)


def _condition(key: str, one: str, query: WireQuery, me: str, value: Any) -> str:  # noqa: PLR0917 - a row of a table
    match key:
        case "label":
            name, equals, wanted = one.partition("=")
            if not equals:
                return f"v.labels ? {value(name)}"
            return f"v.labels @> jsonb_build_object({value(name)}, {value(wanted)})"
        case "creator":
            who = value(me if one == "@me" else one)
            return f"coalesce(coalesce(v.creator, r.creator) ->> 'name' = {who}, false)"
        case "status":
            return f"v.upload_status = {value(one)}"
        case "module" | "is":
            # Manifests are kept as text: what is written so is at its place in any of ours.
            said = '"dev": true' if key == "is" else f'"module": {json.dumps(one)}'
            return f"strpos(v.manifest, {value(said)}) > 0"
        case _:
            like = value("%" + _LIKE.sub(r"\\\g<0>", one) + "%")
            fields = ("name",) if key == "name" else query.fields
            columns = [each for field in fields for each in _columns(field, one)]
            return " OR ".join(f"{each} LIKE {like}" for each in columns)


def _columns(field: str, word: str) -> Sequence[str]:
    """Where a word may be: in a name and a version at once only if it has their colon."""
    return _FIELDS[field] if ":" not in word else [" || ':' || ".join(_FIELDS[field])]


def _split(text: str) -> list[tuple[int, str]]:
    """Terms and their places: spaces end one, but not between double quotes."""
    found: list[tuple[int, str]] = []
    begin, quoted = None, False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        if char.isspace() and not quoted:
            if begin is not None:
                found.append((begin, text[begin:at]))
            begin = None
        elif begin is None:
            begin = at
    if quoted:
        raise QueryError("a quote is not closed", text.rfind('"'))
    if begin is not None:
        found.append((begin, text[begin:]))
    return found


def _keyed(term: str, at: int) -> tuple[str, tuple[str, ...]]:
    """A term without a key is a word. A colon, comma or equals sign between quotes is text."""
    outside = _outside(term)
    colon = outside.find(":")
    if colon <= 0:
        return "", (_unquoted(term),)
    key, rest = term[:colon], term[colon + 1 :]
    values, begin = [], 0
    marks = [*(place for place, char in enumerate(_outside(rest)) if char == ","), len(rest)]
    for place in marks:
        values.append(_unquoted(rest[begin:place]))
        begin = place + 1
    if not all(values):
        raise QueryError(f"'{key}:' has an empty value", at)
    return key, tuple(values)


def _outside(text: str) -> str:
    """``text`` with what is between quotes blanked out."""
    out, quoted = [], False
    for char in text:
        quoted ^= char == '"'
        out.append(" " if quoted or char == '"' else char)
    return "".join(out)


def _unquoted(text: str) -> str:
    return text.replace('"', "")


def _term(key: str, values: tuple[str, ...], *, negated: bool, at: int) -> Term:
    match key:
        case "" | "label" | "creator" | "module":
            return Term(key or "word", values, negated, at)
        case "is" | "not" if values == ("dev",):
            return Term("is", values, negated != (key == "not"), at)
        case "is" | "not":
            raise QueryError(f"'{key}:' knows `dev` only", at)
        case _:
            known = "label, creator, module, is, not, in, sort"
            raise QueryError(f"'{key}:' is none of {known}; quote what is a word", at)


def _order(values: tuple[str, ...], at: int) -> str:
    field, _, way = values[0].rpartition("-")
    if len(values) != 1 or field not in _SORTS or way not in {"asc", "desc"}:
        raise QueryError(f"sort is by {', '.join(_SORTS)} with -asc or -desc", at)
    return f"{_SORTS[field]} {way.upper()} NULLS LAST, {_NEWEST}"


def _fields(values: tuple[str, ...], at: int) -> tuple[str, ...]:
    if not set(values) <= _FIELDS.keys():
        raise QueryError("in: knows `name` and `description`", at)
    return values
