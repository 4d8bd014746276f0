"""What was removed because nobody needs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pruned:
    """``removed`` are paths below the builder's folder, ``forgotten`` counts cached records."""

    removed: tuple[str, ...] = ()
    freed_bytes: int = 0
    forgotten: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(
            (*self.removed, *other.removed),
            self.freed_bytes + other.freed_bytes,
            self.forgotten + other.forgotten,
        )
