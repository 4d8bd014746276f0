"""Environments and images on this machine's disk, and the tools that make them."""

from services.builder.environments.children import Children
from services.builder.environments.confined import Confinement
from services.builder.environments.folders import Folders, remove
from services.builder.environments.leavings import Leavings
from services.builder.environments.uv import NeedsBuildingError, Uv
from services.builder.environments.uvcache import UvCaches

__all__ = [
    "Children",
    "Confinement",
    "Folders",
    "Leavings",
    "NeedsBuildingError",
    "Uv",
    "UvCaches",
    "remove",
]
