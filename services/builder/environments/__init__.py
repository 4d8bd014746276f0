"""Environments and images on this machine's disk, and the tools that make them."""

from services.builder.environments.children import Children
from services.builder.environments.folders import Folders, remove
from services.builder.environments.uv import NeedsBuildingError, Uv

__all__ = ["Children", "Folders", "NeedsBuildingError", "Uv", "remove"]
