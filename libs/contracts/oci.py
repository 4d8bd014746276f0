"""How a registry of images refuses: the form that the OCI distribution specification demands."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, JsonValue

_CRASH: Final = 500


class OciCode(StrEnum):
    """The specification's own codes."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    DIGEST_INVALID = "DIGEST_INVALID"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    SIZE_INVALID = "SIZE_INVALID"
    UNAUTHORIZED = "UNAUTHORIZED"
    DENIED = "DENIED"
    UNSUPPORTED = "UNSUPPORTED"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    UNKNOWN = "UNKNOWN"
    """Not the specification's: what registries say where something went wrong inside."""


_BY_STATUS: Final[dict[int, OciCode]] = {
    401: OciCode.UNAUTHORIZED,
    403: OciCode.DENIED,
    404: OciCode.NAME_UNKNOWN,
    405: OciCode.UNSUPPORTED,
    409: OciCode.BLOB_UPLOAD_INVALID,
    413: OciCode.SIZE_INVALID,
    429: OciCode.TOOMANYREQUESTS,
    503: OciCode.TOOMANYREQUESTS,
    507: OciCode.DENIED,
}


def code_of(status: int) -> OciCode:
    """For refusals that are not the specification's own."""
    return _BY_STATUS.get(status, OciCode.UNSUPPORTED if status < _CRASH else OciCode.UNKNOWN)


class OciRefusal(BaseModel):
    code: OciCode
    message: str
    detail: JsonValue = None


class OciRefusals(BaseModel):
    """The body of every refusal below ``/v2/``."""

    errors: list[OciRefusal]
