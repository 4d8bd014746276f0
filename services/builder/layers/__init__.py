"""Layers of images: the same entries give the same bytes, wherever and whenever."""

from services.builder.layers.entries import Entry, below
from services.builder.layers.looking import Looked, look
from services.builder.layers.noting import contents_of
from services.builder.layers.packages import PackageGroup, groups_of
from services.builder.layers.reading import read_contents
from services.builder.layers.skeleton import skeleton
from services.builder.layers.unpacking import unpack_layers
from services.builder.layers.writing import Written, write

__all__ = [
    "Entry",
    "Looked",
    "PackageGroup",
    "Written",
    "below",
    "contents_of",
    "groups_of",
    "look",
    "read_contents",
    "skeleton",
    "unpack_layers",
    "write",
]
