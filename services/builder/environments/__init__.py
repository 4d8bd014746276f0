"""Environments and images on this machine's disk, and the tools that make them."""

from services.builder.environments.confined import Confinement
from services.builder.environments.folders import Folders, remove
from services.builder.environments.uv import NeedsBuildingError, Uv

__all__ = ["Confinement", "Folders", "NeedsBuildingError", "Uv", "remove"]
