"""What environment variables a settings class reads: for the check of names and for the docs."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_ANY: Final = "<NAME>"
_TYPES: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "`true`, `false`",
    "Path": "path",
    "SecretStr": "secret",
    "AnyUrl": "URL",
    "AnyHttpUrl": "URL",
    "HttpUrl": "URL",
    "timedelta": "duration",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable."""

    name: str
    type: str
    default: str | None
    """``None`` where the variable is required, empty where there is nothing by default."""
    description: str

    def matches(self, name: str) -> bool:
        """``…_PEERS__<NAME>`` stands for every name that begins like it."""
        if self.name.endswith(_ANY):
            return name.startswith(self.name.removesuffix(_ANY))
        return name == self.name


def variables(model: type[BaseModel], prefix: str, *, optional: bool = False) -> Iterator[Variable]:
    """``optional`` is for the fields of a group that may be absent as a whole."""
    for name, field in model.model_fields.items():
        at = f"{prefix}{name.upper()}"
        group = _group(field)
        if group is not None:
            absent = optional or not field.is_required()
            yield from variables(group, f"{at}__", optional=absent)
        else:
            named = get_origin(field.annotation) is dict
            yield Variable(
                name=f"{at}__{_ANY}" if named else at,
                type=_type(field.annotation),
                default=_default(field, optional=optional),
                description=field.description or "",
            )


def _group(field: FieldInfo) -> type[BaseModel] | None:
    for each in (field.annotation, *get_args(field.annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    parts = [each for each in get_args(annotation) if each not in {type(None), ...}]
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in parts)
    if origin is dict:
        return _type(parts[-1])
    if origin in {Union, UnionType}:
        return " or ".join(map(_type, parts))
    if origin is not None:
        return f"JSON list of {_type(parts[0])}"
    name = str(getattr(annotation, "__name__", annotation))
    return _TYPES.get(name, name)


def _default(field: FieldInfo, *, optional: bool) -> str | None:
    if field.is_required():
        return "" if optional else None
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or value == {} else str(value)
