"""The form of in-toto's statements and of SLSA's provenance, as far as we read them.

Unknown fields are left aside, as both ask of whoever reads them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.builder.errors import SupplyError
from services.builder.supply.documents import canonical, parsed
from services.builder.supply.values import Hash, Subject

TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BILL: Final = "https://cyclonedx.org/bom"
SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
"""Cosign's since its version 3: nothing more than that somebody signed the image."""

LIMIT: Final = 16 * 1024 * 1024

Kind = Literal["bento", "model", "base", "lock", "pin"]
_Text = Annotated[str, StringConstraints(max_length=2048)]
_Algorithm = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,128}$")]
_Digests = Annotated[dict[_Algorithm, _Hex], Field(max_length=8)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Annotations(_Part):
    """What the purl alone does not say in a form that is easily read back."""

    kind: Annotated[Kind, Field(alias="yokocho.kind")]
    version: Annotated[_Text | None, Field(alias="yokocho.version")] = None
    platform: Annotated[_Text | None, Field(alias="yokocho.platform")] = None
    hashes: Annotated[tuple[Hash, ...] | None, Field(alias="yokocho.hashes", max_length=1024)] = (
        None
    )
    """Files of which one was installed, depending on the platform."""


class Descriptor(_Part):
    name: _Text
    uri: _Text | None = None
    digest: _Digests = {}
    annotations: Annotations


class _Definition(_Part):
    build_type: Annotated[_Text, Field(alias="buildType")]
    external: Annotated[dict[str, Any], Field(alias="externalParameters")]
    internal: Annotated[dict[str, Any], Field(alias="internalParameters")]
    dependencies: Annotated[
        list[Descriptor], Field(alias="resolvedDependencies", max_length=12_000)
    ]


class _Builder(_Part):
    id: _Text
    version: dict[str, _Text] = {}


class _Details(_Part):
    builder: _Builder


class _Predicate(_Part):
    definition: Annotated[_Definition, Field(alias="buildDefinition")]
    details: Annotated[_Details, Field(alias="runDetails")]


class About(_Part):
    name: _Text = ""
    digest: _Digests


class AnyStatement(_Part):
    """Whatever it says, of what it says it."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[list[About], Field(min_length=1, max_length=64)]
    predicate_type: Annotated[_Text, Field(alias="predicateType")]


class Statement(AnyStatement):
    subject: Annotated[list[About], Field(min_length=1, max_length=1)]
    predicate_type: Annotated[
        Literal["https://slsa.dev/provenance/v1"], Field(alias="predicateType")
    ]
    predicate: _Predicate


def written(image: Subject, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """A statement about one image."""
    return canonical(
        {
            "_type": TYPE,
            "subject": [{"name": image.name, "digest": digests(image.digest)}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def bill_statement(image: Subject, bill: bytes) -> bytes:
    """The bill of materials as a statement, so that it can be signed."""
    return written(image, BILL, parsed(bill, what="the bill of materials", limit=LIMIT))


def descriptor(
    kind: Kind, name: str, *, uri: str | None = None, digest: str | None = None, **said: Any
) -> dict[str, Any]:
    """A resource that went into a build. ``said`` is of ``Annotations``; what is None is not."""
    annotations = {f"yokocho.{each}": value for each, value in said.items() if value is not None}
    found = {"uri": uri, "digest": digests(digest) if digest else None}
    return {
        "name": name,
        **{each: value for each, value in found.items() if value is not None},
        "annotations": {"yokocho.kind": kind, **annotations},
    }


def digests(text: str) -> dict[str, str]:
    """``sha256:…`` as in-toto has it."""
    algorithm, _, content = text.partition(":")
    return {algorithm: content}


def texts(given: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{algorithm}:{content}" for algorithm, content in sorted(given.items()))


def only(given: Mapping[str, str]) -> str:
    """The digest by which content is named here. Others beside it are not looked at."""
    content = given.get("sha256")
    if content is None:
        raise SupplyError("the provenance names something without its sha256")
    return f"sha256:{content}"
