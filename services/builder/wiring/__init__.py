"""The composition root: which object knows which."""

from services.builder.wiring.parts import Parts, assemble
from services.builder.wiring.workshop import Peers, Tools, own_registry, workshop

__all__ = ["Parts", "Peers", "Tools", "assemble", "own_registry", "workshop"]
