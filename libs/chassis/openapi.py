"""OpenAPI 3.1 of a service, made of what its routes say of themselves."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Final, Literal, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter

from libs.chassis.problems import MEDIA_TYPE

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_REFS: Final = "#/components/schemas/{model}"
_PLACE: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_ONCE: Final = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": "The request takes effect once per key, whoever repeats it within a day.",
}
_Mode = Literal["validation", "serialization"]


class Body(BaseModel):
    """JSON that a native route takes: nothing that it does not know, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Parameters behind ``?``: none that the route does not know."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """RFC 9457. Further members are facts of this one problem."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives, in types that pydantic knows.

    ``id`` is what generated clients call it, once per service. ``answer`` is what the JSON of
    a success is (None: there is no body; ``bytes``: anything, of type ``media``). With ``once``
    the route honours ``Idempotency-Key``.
    """

    id: str
    summary: str
    answer: Any = None
    query: type[Query] | None = None
    body: type[Body] | type[bytes] | None = None
    status: int = 200
    partial: bool = False
    """Honours ``Range``."""
    once: bool = False
    media: str = _BYTES

    def of(self, kind: str) -> "Operation":
        """The same for each kind of thing: ``{}`` in the id stands for it."""
        return replace(self, id=self.id.format(kind))


@dataclass(frozen=True, slots=True)
class _Schemas:
    """One component for each type that is named anywhere."""

    components: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: Any, mode: _Mode) -> dict[str, Any]:
        schema = TypeAdapter(kind).json_schema(ref_template=_REFS, mode=mode)
        self.components.update(schema.pop("$defs", {}))
        name = schema.get("title")
        if get_origin(kind) is not None or schema.get("type") != "object" or not name:
            return schema
        self.components[name] = schema
        return {"$ref": _REFS.format(model=name)}


def document(title: str, *, routes: Iterable[tuple[str, str, Operation]]) -> dict[str, Any]:
    """Of ``(method, path, operation)``; paths as aiohttp writes them."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for method, path, operation in routes:
        place = _PLACE.sub(r"{\1}", path)
        parameters = [_in_path(name) for name in _PLACE.findall(path)]
        shown = _operation(operation, schemas, parameters)
        paths.setdefault(place, {})[method.lower()] = shown
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("yokocho")},
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token."}
            },
        },
    }


def _operation(
    operation: Operation, schemas: _Schemas, parameters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    asked = [*parameters, *_in_query(operation.query), *([_ONCE] if operation.once else [])]
    shown: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": asked,
        "responses": _answers(operation, schemas),
    }
    if operation.body is bytes:
        shown["requestBody"] = {"required": True, "content": {_BYTES: {}}}
    elif operation.body is not None:
        schema = schemas.of(operation.body, "validation")
        shown["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return shown


def _answers(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "As asked."}
    if operation.answer is bytes:
        success["content"] = {operation.media: {}}
    elif operation.answer is not None:
        success["content"] = {_JSON: {"schema": schemas.of(operation.answer, "serialization")}}
    problem = {
        "description": "Refused; `type` says why: docs/problems has a page for each.",
        "content": {MEDIA_TYPE: {"schema": schemas.of(Problem, "serialization")}},
    }
    found = {str(operation.status): success, "4XX": problem, "5XX": problem}
    if operation.partial:
        found["206"] = {"description": "The range that was asked for.", "content": {_BYTES: {}}}
        found["416"] = {"description": "There is no such range."}
    return found


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(query: type[Query] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema(ref_template=_REFS)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": {key: value for key, value in each.items() if key != "title"},
        }
        for name, each in schema.get("properties", {}).items()
    ]
