"""Archives of models and bentos: walked as they arrive, and looked into where they lie. Pure."""

from services.registry.archive.description import top_of
from services.registry.archive.listing import LIMIT, Entry, Listing, pack, unpack
from services.registry.archive.walk import ArchiveWalk

__all__ = ["LIMIT", "ArchiveWalk", "Entry", "Listing", "pack", "top_of", "unpack"]
