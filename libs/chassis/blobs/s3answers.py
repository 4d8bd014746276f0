"""What a store that speaks S3 says, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from libs.chassis.blobs.errors import BlobsRefusedError, BlobsUnavailableError, NoSpaceError

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
_BUSY: Final = frozenset(
    {"SlowDown", "Throttling", "RequestTimeout", "RequestLimitExceeded", "OperationAborted"}
)
_NO_ROOM: Final = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"})
_SERVER_ERROR: Final = 500
_INSUFFICIENT: Final = 507


@contextmanager
def answers() -> Iterator[None]:
    """Raises ``BlobsUnavailableError``, ``BlobsRefusedError`` and ``NoSpaceError``."""
    try:
        yield
    except ClientError as error:
        raise _translated(error) from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError) as error:
        raise BlobsUnavailableError(
            f"the S3 store does not answer: {type(error).__name__}; try again"
        ) from error


def is_missing(error: ClientError) -> bool:
    return _code(error) in _MISSING


def is_beyond(error: ClientError) -> bool:
    """There are bytes, but none where they were asked for."""
    return _code(error) in {"InvalidRange", "416"}


def is_precondition(error: ClientError) -> bool:
    """Something is there already."""
    return _code(error) in {"PreconditionFailed", "412"}


def _translated(error: ClientError) -> Exception:
    code, status = _code(error), _about(error).get("HTTPStatusCode", _SERVER_ERROR)
    if code in _NO_ROOM or status == _INSUFFICIENT:
        return NoSpaceError(0, 0)
    if code in _BUSY or status >= _SERVER_ERROR:
        return BlobsUnavailableError(f"the S3 store answers {status} {code}; try again")
    return BlobsRefusedError(
        f"the S3 store refuses {error.operation_name}: {status} {code}; look at the registry's "
        "credentials, bucket and clock"
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _about(error: ClientError) -> dict[str, Any]:
    return dict(error.response.get("ResponseMetadata", {}))
