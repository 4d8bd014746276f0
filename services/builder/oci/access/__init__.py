"""Who asks a registry: credentials and what is made of them."""

from services.builder.oci.access.dockerconfig import DockerConfigInvalidError, credentials_of
from services.builder.oci.access.protocol import (
    Access,
    AnonymousAccess,
    BasicAccess,
    CalledAccess,
)
from services.builder.oci.access.tokens import Credentials, TokenAccess

__all__ = [
    "Access",
    "AnonymousAccess",
    "BasicAccess",
    "CalledAccess",
    "Credentials",
    "DockerConfigInvalidError",
    "TokenAccess",
    "credentials_of",
]
