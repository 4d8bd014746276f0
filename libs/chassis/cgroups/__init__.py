"""What processes may take together, enforced by the kernel where it lets this process ask."""

from libs.chassis.cgroups.groups import Group, Groups, Limits, joining
from libs.chassis.cgroups.places import CPU, MEMORY, LimitUnavailableError, Machine
from libs.chassis.cgroups.saying import in_words, tell, told

__all__ = [
    "CPU",
    "MEMORY",
    "Group",
    "Groups",
    "LimitUnavailableError",
    "Limits",
    "Machine",
    "in_words",
    "joining",
    "tell",
    "told",
]
