"""What keeps a process with somebody's code from the rest of the machine, where the kernel can."""

from libs.chassis.isolation.choice import (
    AUTO,
    CURE,
    NAMESPACE,
    NONE,
    Isolation,
    NotPossibleError,
    choose,
    depth,
    tell,
    told,
)
from libs.chassis.isolation.sight import HOME, prefixes_of

__all__ = [
    "AUTO",
    "CURE",
    "HOME",
    "NAMESPACE",
    "NONE",
    "Isolation",
    "NotPossibleError",
    "choose",
    "depth",
    "prefixes_of",
    "tell",
    "told",
]
