"""Layers of images: the same entries give the same bytes, wherever and whenever they are written."""

from services.builder.layers.entries import Entry, below
from services.builder.layers.packages import PackageGroup, groups_of
from services.builder.layers.skeleton import skeleton
from services.builder.layers.writing import GZIP, TAR, Written, write

__all__ = [
    "GZIP",
    "TAR",
    "Entry",
    "PackageGroup",
    "Written",
    "below",
    "groups_of",
    "skeleton",
    "write",
]
