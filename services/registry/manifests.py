"""Manifests of images: what one says of itself, and what it needs to be there."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.contracts.mediatypes import INDEXES, MANIFESTS
from libs.contracts.oci import OciCode
from libs.contracts.types import digest_of
from services.registry.errors import OciRefusedError

LIMIT: Final = 4 * 2**20
"""Bytes of a manifest: what the specification says that clients may count on."""
_ELSEWHERE: Final = re.compile(
    r"application/vnd\.(oci\.image\.layer\.nondistributable\.|docker\.image\.rootfs\.foreign\.).*"
)
"""Layers whose licence forbids to pass them on: clients fetch them from their makers."""
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")

_Digest = Annotated[str, Field(pattern=r"^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{1,255}$")]

_MediaType = Annotated[str, Field(pattern=r"^[ -~]{0,255}$")]


class _Said(BaseModel):
    """Keys that are not known here are the client's own: they are kept, and not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Descriptor(_Said):
    media_type: _MediaType = Field(default="", alias="mediaType")
    digest: _Digest
    size: int = Field(ge=0)


class _Document(_Said):
    schema_version: int = Field(alias="schemaVersion", ge=2, le=2)
    media_type: str | None = Field(default=None, alias="mediaType")
    artifact_type: _MediaType | None = Field(default=None, alias="artifactType")
    annotations: dict[str, str] | None = None
    subject: _Descriptor | None = None


class _Image(_Document):
    config: _Descriptor
    layers: tuple[_Descriptor, ...] = Field(strict=False)

    @property
    def kind(self) -> str | None:
        return self.artifact_type or self.config.media_type

    @property
    def needs(self) -> tuple[frozenset[str], frozenset[str]]:
        here = [each for each in self.layers if not _ELSEWHERE.fullmatch(each.media_type)]
        return frozenset(each.digest for each in (self.config, *here)), frozenset()


class _Index(_Document):
    manifests: tuple[_Descriptor, ...] = Field(strict=False)

    @property
    def kind(self) -> str | None:
        return self.artifact_type

    @property
    def needs(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(), frozenset(each.digest for each in self.manifests)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``content`` as it was sent. ``blobs`` and ``manifests`` have to be there before it."""

    digest: str
    media_type: str
    content: bytes
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None
    subject: str | None = None
    blobs: frozenset[str] = frozenset()
    manifests: frozenset[str] = frozenset()

    @property
    def descriptor(self) -> dict[str, Any]:
        """What those who refer to its subject are listed as."""
        said = {"artifactType": self.artifact_type, "annotations": self.annotations}
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
            **{key: value for key, value in said.items() if value},
        }


def read_manifest(content: bytes, media_type: str, *, algorithm: str) -> Manifest:
    """As named by ``algorithm``.

    ``media_type`` is what the request says; the document may repeat it, and only that.
    """
    document = _document(content, media_type)
    blobs, manifests = document.needs
    return Manifest(
        digest=digest_of(content, algorithm),
        media_type=media_type,
        content=content,
        artifact_type=document.kind,
        annotations=document.annotations,
        subject=document.subject.digest if document.subject else None,
        blobs=blobs,
        manifests=manifests,
    )


def _document(content: bytes, media_type: str) -> _Image | _Index:
    if media_type not in MANIFESTS | INDEXES:
        raise _invalid(f"{media_type[:100]!r} is no media type of manifests that are kept here")
    form: type[_Image | _Index] = _Image if media_type in MANIFESTS else _Index
    try:
        document = form.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _invalid(f"{where or 'the document'}: {first['msg']}") from None
    if document.media_type not in {None, media_type}:
        raise _invalid(f"mediaType is {document.media_type!r:.100}, sent was {media_type!r}")
    return document


def require_digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise OciRefusedError(
            OciCode.DIGEST_INVALID,
            f"{digest[:100]!r} is no digest that is known here: sha256: or sha512:, and hex digits",
        )
    return digest


def is_tag(name: str) -> bool:
    return _TAG.fullmatch(name) is not None


def immutable_by(patterns: list[str], tag: str) -> str | None:
    """The first of ``patterns`` that says that ``tag`` stays where it is."""
    return next((each for each in patterns if fnmatchcase(tag, each)), None)


def _invalid(why: str) -> OciRefusedError:
    return OciRefusedError(OciCode.MANIFEST_INVALID, why)
