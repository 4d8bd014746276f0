"""Images in registries and files: named, read, verified, pushed."""

from services.builder.oci.access import (
    Access,
    AnonymousAccess,
    BasicAccess,
    CalledAccess,
    Credentials,
    TokenAccess,
)
from services.builder.oci.client import Patience, Pushed, Remote
from services.builder.oci.descriptor import (
    Descriptor,
    DescriptorInvalidError,
    Platform,
    parse_platform,
)
from services.builder.oci.door import Door
from services.builder.oci.layout import Image, Layout, open_layout
from services.builder.oci.reference import (
    Reference,
    ReferenceInvalidError,
    canonical_registry,
    parse_reference,
)
from services.builder.oci.registries import Known, Registries

__all__ = [
    "Access",
    "AnonymousAccess",
    "BasicAccess",
    "CalledAccess",
    "Credentials",
    "Descriptor",
    "DescriptorInvalidError",
    "Door",
    "Image",
    "Known",
    "Layout",
    "Patience",
    "Platform",
    "Pushed",
    "Reference",
    "ReferenceInvalidError",
    "Registries",
    "Remote",
    "TokenAccess",
    "canonical_registry",
    "open_layout",
    "parse_platform",
    "parse_reference",
]
