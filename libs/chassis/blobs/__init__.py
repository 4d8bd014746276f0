"""Immutable bytes: hashed while received, checked before they leave.

A blob is known by its digest, and lies at a *location* that its store chose when it was
received: no two receipts share one. So bytes are there before any database knows of them, are
removed after every database has forgotten them, and no reader or writer ever waits for another.
"""

from libs.chassis.blobs.errors import (
    BlobDamagedError,
    BlobsRefusedError,
    BlobsUnavailableError,
    NoSpaceError,
)
from libs.chassis.blobs.files import FileBlobs
from libs.chassis.blobs.receiving import Receiving
from libs.chassis.blobs.store import CHUNK, Blob, BlobStore, Observer, Stored

__all__ = [
    "CHUNK",
    "Blob",
    "BlobDamagedError",
    "BlobStore",
    "BlobsRefusedError",
    "BlobsUnavailableError",
    "FileBlobs",
    "NoSpaceError",
    "Observer",
    "Receiving",
    "Stored",
]
