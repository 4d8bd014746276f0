"""Pages of lists: an opaque cursor holds the sort keys of the last item that was seen."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.openapi import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next`` is the cursor of what follows; None at the end."""

    items: list[T]
    next: str | None


class PageQuery(Query):
    """What every list takes."""

    cursor: str = Field("", max_length=16_384, description="`next` of the page before this one.")
    count: int = Field(100, ge=1, le=1000, description="Items of a page, at most.")


class CursorInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "cursor-invalid"
    title: ClassVar[str] = "The cursor is not of this list"

    def __init__(self) -> None:
        super().__init__("'cursor' must be the `next` of a page of this same list")


def page_of(found: Sequence[tuple[T, Sequence[object]]], count: int) -> Page[T]:
    """Of items with their sort keys: one more than ``count`` says that there are others."""
    shown = found[:count]
    behind = cursor_of(shown[-1][1]) if len(found) > count else None
    return Page([item for item, _ in shown], behind)


def cursor_of(keys: Sequence[object]) -> str:
    return urlsafe_b64encode(to_json(list(keys))).decode().rstrip("=")


def keys_in(cursor: str, kinds: Sequence[Any]) -> tuple[Any, ...]:
    """The keys, each of its kind: what a database could not take is refused."""
    try:
        raw = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        kind: Any = tuple.__class_getitem__(tuple(kinds))
        keys = tuple(_in_utc(each) for each in TypeAdapter(kind).validate_json(raw))
    except (ValueError, OverflowError, ValidationError):
        raise CursorInvalidError from None
    if any(isinstance(each, str) and "\0" in each for each in keys):
        raise CursorInvalidError
    return keys


def _in_utc(key: object) -> object:
    return key.astimezone(UTC) if isinstance(key, datetime) else key
