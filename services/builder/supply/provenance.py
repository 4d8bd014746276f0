"""How an image was made: an in-toto statement with SLSA's provenance, written and read back.

What decides the image's bytes is in ``Inputs``; when and by which build is in ``Run``, which a
rebuild does not repeat. Of secrets there are names; their values come nowhere near this.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, ValidationError

from libs.contracts.types import Digest
from services.builder.errors import SupplyError
from services.builder.supply import statements
from services.builder.supply.documents import parsed
from services.builder.supply.purls import generic_url, oci_url, pypi_url
from services.builder.supply.statements import LIMIT, PREDICATE, Descriptor, Statement
from services.builder.supply.values import Base, Bento, Line, Model, Pin, Subject, Value, each_once

BUILD_TYPE: Final = "https://yokocho.dev/build/{}/v1"

Strategy = Literal["assemble", "buildah", "prebuilt", "environment"]
Platform = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}(/[a-z0-9]{1,32}){1,2}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$")]
"""Of an option or a secret. A value in its place is refused, and not shown."""


class Lock(Value):
    digest: Digest
    platform: Platform | None = None
    """For all of the image's platforms where it is not said."""


class Inputs(Value):
    """Everything that a rebuild needs, by digest."""

    image: Subject
    strategy: Strategy
    platforms: Annotated[
        tuple[Platform, ...], Field(min_length=1, max_length=16), AfterValidator(each_once)
    ]
    bento: Bento
    options: Annotated[dict[Name, bool | int | Line], Field(max_length=64, default_factory=dict)]
    secrets: Annotated[tuple[Name, ...], Field(max_length=256), AfterValidator(each_once)] = ()
    """Names of those that the build may read."""
    models: Annotated[tuple[Model, ...], Field(max_length=1024), AfterValidator(each_once)] = ()
    base: Base | None = None
    locks: Annotated[tuple[Lock, ...], Field(max_length=16), AfterValidator(each_once)] = ()
    pins: Annotated[tuple[Pin, ...], Field(max_length=10_000), AfterValidator(each_once)] = ()
    python: Line | None = None
    planner: Line
    plan: Digest
    builder: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:\S{1,500}$")]
    """Who built, as a URI: whoever verifies decides whom to believe."""
    version: Line
    """Of the builder."""


class Run(Value):
    """One build. Two runs with equal inputs have different ones, and the same image."""

    invocation: Line | None = None
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None


class _External(Value):
    """What somebody asked for. What is not known here might matter, and is refused."""

    bento: Bento
    strategy: Strategy
    platforms: tuple[Platform, ...]
    options: dict[Name, bool | int | Line]
    secrets: tuple[Name, ...]


class _Internal(Value):
    planner: Line
    plan: Digest
    python: Line | None = None


def statement_of(inputs: Inputs, run: Run | None = None) -> bytes:
    """The statement about one image."""
    ran = run or Run()
    times = {"startedOn": ran.started, "finishedOn": ran.finished}
    metadata = {name: _instant(value) for name, value in times.items() if value is not None}
    if ran.invocation is not None:
        metadata["invocationId"] = ran.invocation
    external = inputs.model_dump(include=set(_External.model_fields), mode="json")
    internal = inputs.model_dump(
        include=set(_Internal.model_fields), mode="json", exclude_none=True
    )
    definition = {
        "buildType": BUILD_TYPE.format(inputs.strategy),
        "externalParameters": external,
        "internalParameters": internal,
        "resolvedDependencies": list(_materials(inputs)),
    }
    builder = {"id": inputs.builder, "version": {"yokocho": inputs.version}}
    details = {"builder": builder, **({"metadata": metadata} if metadata else {})}
    predicate = {"buildDefinition": definition, "runDetails": details}
    data = statements.written(inputs.image, PREDICATE, predicate)
    if len(data) > LIMIT:
        raise SupplyError(f"the provenance has {len(data)} bytes, and {LIMIT} are the most")
    return data


def from_statement(document: bytes) -> Inputs:
    """What the statement says, if it is one of ours and whole; from anybody's hands."""
    value = parsed(document, what="the provenance", limit=LIMIT)
    try:
        found = Statement.model_validate(value)
        return _inputs(found)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(each) for each in first["loc"])[:200]
        raise SupplyError(f"the provenance is not one of ours: {where}: {first['msg']}") from error


def _inputs(found: Statement) -> Inputs:
    definition, builder = found.predicate.definition, found.predicate.details.builder
    external = _External.model_validate(definition.external)
    internal = _Internal.model_validate(definition.internal)
    if definition.build_type != BUILD_TYPE.format(external.strategy):
        raise SupplyError("the provenance has a strategy that is not its build type's")
    kinds: dict[str, list[Any]] = {"bento": [], "model": [], "base": [], "lock": [], "pin": []}
    for each in definition.dependencies:
        kinds[each.annotations.kind].append(_read(each))
    if kinds["bento"] != [external.bento]:
        raise SupplyError("the provenance names one bento and depends on another")
    if len(kinds["base"]) > 1:
        raise SupplyError("the provenance has several base images")
    subject = found.subject[0]
    return Inputs.model_validate(
        {
            **dict(external),
            **dict(internal),
            "image": Subject(name=subject.name, digest=statements.only(subject.digest)),
            "models": tuple(kinds["model"]),
            "base": next(iter(kinds["base"]), None),
            "locks": tuple(kinds["lock"]),
            "pins": tuple(kinds["pin"]),
            "builder": builder.id,
            "version": builder.version.get("yokocho", ""),
        }
    )


def _materials(inputs: Inputs) -> Iterator[dict[str, Any]]:
    yield _named("bento", inputs.bento)
    for model in inputs.models:
        yield _named("model", model)
    if inputs.base is not None:
        uri = str(oci_url(inputs.base.reference, inputs.base.digest))
        yield statements.descriptor(
            "base", inputs.base.reference, uri=uri, digest=inputs.base.digest
        )
    for lock in inputs.locks:
        yield statements.descriptor(
            "lock", "requirements.lock.txt", digest=lock.digest, platform=lock.platform
        )
    for pin in inputs.pins:
        one = pin.hashes[0] if len(pin.hashes) == 1 else None
        several = list(pin.hashes) if len(pin.hashes) > 1 else None
        uri = str(pypi_url(pin.name, pin.version))
        yield statements.descriptor(
            "pin", pin.name, uri=uri, digest=one, version=pin.version, hashes=several
        )


def _named(kind: Literal["bento", "model"], given: Bento | Model) -> dict[str, Any]:
    uri = str(generic_url(kind, given))
    return statements.descriptor(
        kind, given.repository, uri=uri, digest=given.digest, version=given.version
    )


def _read(each: Descriptor) -> Bento | Model | Base | Lock | Pin:
    said = each.annotations
    version = said.version or ""
    if said.kind == "pin":
        hashes = statements.texts(each.digest) or said.hashes or ()
        return Pin(name=each.name, version=version, hashes=hashes)
    digest = statements.only(each.digest)
    if said.kind == "lock":
        return Lock(digest=digest, platform=said.platform)
    if said.kind == "base":
        return Base(reference=each.name, digest=digest)
    kind = Bento if said.kind == "bento" else Model
    return kind(repository=each.name, version=version, digest=digest)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
