"""docs/events.md: every event, from libs/contracts."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from docs.generate.markdown import page, says, table
from libs.contracts import types
from libs.contracts.bus import CONSUMERS, PUBLISHED, stream_of, stream_subjects
from libs.contracts.catalogue import EVENTS, PUBLISHER
from libs.contracts.event import MAX_BYTES, Actor, Envelope, EnvelopeHead, Event

_NAMED: Final[dict[str, tuple[Any, str]]] = {
    "digest": (types.Digest, "`sha256:` and 64 hex digits: the content address of what it names"),
    "slug": (types.Slug, "BentoML's grammar for names and versions"),
    "DNS label": (types.DeploymentName, "becomes part of a host name; starts with a letter"),
    "actor": (Actor, "who did it: `user:<id>`, `token:<id>` or `service:<name>`"),
    "error text": (types.ErrorText, "human text; longer ones lose their middle"),
}
_MEANINGS: Final = {
    "id": "UUIDv7, and the `Nats-Msg-Id`",
    "type": "`dev.yokocho.<noun>.<verb>.v<major>`",
    "time": "when the fact was recorded",
    "orgid": "the organisation; the nil UUID for facts of the platform itself",
    "actor": "who caused it",
    "entityid": "the row it is about; what stays ordered",
    "correlationid": "the request that began it all (`X-Request-Id`)",
    "causationid": "the event that this one follows from",
    "traceparent": "W3C trace context",
    "data": "the fact itself: below, by type",
}
_INTRO: Final = f"""\
Facts travel as CloudEvents 1.0 in structured JSON, at most {MAX_BYTES // 1024} KiB each, and are
stored as the exact bytes that were published. The short name that people say (`bento.pushed`) is
the middle of both the type (`dev.yokocho.bento.pushed.v1`) and the subject on the bus
(`evt.bento.pushed.v1.<org id>.<entity id>`).

Readers ignore fields that they do not know. Within a major version fields are only added; one
recorded envelope per type stands in `tests/data/events/`, and stays decodable for ever. Delivery
is at least once: consumers claim an event by its id in the transaction of its effect. A filtered
consumer sees gaps in `entityseq`: it serves to drop stale events, not to count."""


def events_page() -> str:
    return page(
        "# Events",
        _INTRO,
        "## Overview\n\n" + _overview(),
        "## Streams\n\n" + _streams(),
        "## The envelope\n\n" + _envelope(),
        *(_section(event) for event in EVENTS.values()),
        "## Values\n\n" + _values(),
    )


def consumers_of_event(event: type[Event]) -> tuple[str, ...]:
    publisher = PUBLISHER[event.event_type()]
    return tuple(
        spec.durable
        for spec in CONSUMERS
        if spec.source == publisher and (not spec.events or event in spec.events)
    )


def _overview() -> str:
    rows = (
        (
            f"[{event.name}](#{event.name.replace('.', '')})",
            f"`{type_}`",
            PUBLISHER[type_],
            ", ".join(f"`{each}`" for each in consumers_of_event(event)),
        )
        for type_, event in EVENTS.items()
    )
    return table(("event", "type", "publisher", "durable consumers"), rows)


def _streams() -> str:
    rows = (
        (
            f"`{stream_of(service)}`",
            service,
            ", ".join(f"`{each}`" for each in stream_subjects(service)),
        )
        for service, said in PUBLISHED.items()
        if said
    )
    return table(("stream", "publisher", "subjects"), rows)


def _envelope() -> str:
    fields = {name: _MEANINGS.get(name, "") for name in Envelope.model_fields}
    schema = EnvelopeHead.model_json_schema()
    rows = [
        (
            f"`{name}`",
            _type(schema["properties"].get(name, {"type": "object"})),
            meaning or Envelope.model_fields[name].description or "",
        )
        for name, meaning in fields.items()
        if name not in {"specversion", "datacontenttype"}
    ]
    constant = "`specversion` is `1.0` and `datacontenttype` is `application/json`, always."
    return f"{constant}\n\n{table(('attribute', 'type', 'meaning'), rows)}"


def _section(event: type[Event]) -> str:
    publisher = PUBLISHER[event.event_type()]
    consumers = ", ".join(f"`{each}`" for each in consumers_of_event(event))
    facts = (
        f"- type `{event.event_type()}`\n"
        f"- said by **{publisher}** on stream `{stream_of(publisher)}`\n"
        f"- subject `{event.subject_prefix()}.<org id>.<entity id>`\n"
        f"- consumers: {consumers}"
    )
    return f"## {event.name}\n\n{says(event)}\n\n{facts}\n\n{_fields(event)}"


def _fields(event: type[BaseModel]) -> str:
    schema = event.model_json_schema()
    required = set(schema.get("required", ()))
    rows = [
        (
            f"`{name}`" + ("" if name in required else " (optional)"),
            _type(found, schema.get("$defs", {})),
            found.get("description", ""),
        )
        for name, found in schema["properties"].items()
    ]
    return table(("field", "type", "meaning"), rows)


def _type(schema: dict[str, Any], defs: dict[str, Any] | None = None) -> str:
    return " or ".join(dict.fromkeys(_alternatives(schema, defs or {})))


def _alternatives(schema: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    if "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _alternatives(each, defs)
    elif "$ref" in schema:
        found = defs[schema["$ref"].rpartition("/")[2]]
        inner = (f"{name}: {_type(each, defs)}" for name, each in found["properties"].items())
        yield f"{{{', '.join(inner)}}}"
    elif "enum" in schema:
        yield " or ".join(f"`{each}`" for each in schema["enum"])
    elif schema.get("type") == "array":
        yield f"list of {_type(schema['items'], defs)}"
    else:
        yield _scalar(schema)


def _scalar(schema: dict[str, Any]) -> str:
    for name, (annotation, _) in _NAMED.items():
        limits = TypeAdapter(annotation).json_schema()
        if all(schema.get(key) == value for key, value in limits.items()):
            return name
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in schema
    ]
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']} characters")
    kind = schema.get("format") or schema.get("type", "any")
    return " ".join([kind, *bounds])


def _values() -> str:
    rows = []
    for name, (annotation, meaning) in _NAMED.items():
        schema = TypeAdapter(annotation).json_schema()
        pattern = f"`{schema['pattern']}`" if "pattern" in schema else ""
        limit = f"{schema['maxLength']}" if "maxLength" in schema else ""
        rows.append((name, meaning, pattern, limit))
    return table(("value", "meaning", "pattern", "longest"), rows)
