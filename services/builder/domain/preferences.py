"""What an organisation wants of the builder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    build_on_push: bool
    """A container image of every bento, as soon as it is pushed."""
