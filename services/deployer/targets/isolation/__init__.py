"""What keeps a model's process from the rest of the machine, where the kernel allows it."""

from services.deployer.targets.isolation.choice import (
    AUTO,
    CURE,
    NAMESPACE,
    NONE,
    Isolation,
    NotPossibleError,
    choose,
    depth,
    tell,
)

__all__ = [
    "AUTO",
    "CURE",
    "NAMESPACE",
    "NONE",
    "Isolation",
    "NotPossibleError",
    "choose",
    "depth",
    "tell",
]
