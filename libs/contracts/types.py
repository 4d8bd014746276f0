"""Values that validate themselves, shared by every contract."""

import hashlib
from typing import Annotated, Final
from uuid import UUID

from pydantic import StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""Content address of a blob, an archive, a lock or a plan."""

Slug = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$", max_length=63)
]
"""BentoML's grammar for names and versions."""

DeploymentName = Annotated[
    str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)
]
"""Deployments and namespaces become host names: a DNS label that starts with a letter."""

ErrorText = Annotated[str, StringConstraints(max_length=8192)]
"""Human text inside an event, cut to 8 KiB by whoever writes it (``cut``)."""

ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z]+$")]

PLATFORM_ORG: Final = UUID(int=0)
"""The organisation of events that belong to no tenant."""

_ERROR_BYTES: Final = 8192


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def cut(text: str) -> str:
    """``text`` with its middle removed where it is longer than an event may carry.

    The end is kept whole: an exception's own words come last.
    """
    raw = text.encode()
    if len(raw) <= _ERROR_BYTES:
        return text
    head, tail = raw[:1024], raw[-(_ERROR_BYTES - 1024 - 16) :]
    return f"{head.decode(errors='ignore')}\n[…]\n{tail.decode(errors='ignore')}"
