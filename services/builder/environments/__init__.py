"""Environments and images on this machine's disk, and the tools that make them."""

from services.builder.environments.folders import Folders
from services.builder.environments.uv import Uv

__all__ = ["Folders", "Uv"]
