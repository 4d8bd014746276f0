"""Layers of finished images that were not written here, read for what is in them."""

from pathlib import Path

from services.builder.domain import Contents
from services.builder.layers.looking import content_of, members_of, name_of, opened
from services.builder.layers.noting import Notes


def read_contents(file: Path, media_type: str) -> Contents:
    """Raises ``BuildFailedError`` where it is no layer."""
    notes = Notes()
    with opened(file, media_type) as tar:
        for member in members_of(tar):
            name = name_of(member)
            if member.isreg() and notes.wants(name, member.size):
                notes.take(name, content_of(tar, member))
    return notes.contents()
