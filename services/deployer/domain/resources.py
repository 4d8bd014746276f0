"""What a service asks for: quantities as Kubernetes writes them, and how they are shown. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from services.deployer.errors import DeploymentInvalidError

MEMORY: Final = "memory"
CPU: Final = "cpu"
GPU: Final = "gpu"

_QUANTITY: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?)([eE][0-9]{1,2})? ?([A-Za-z]{0,3})")
_BINARY: Final = {
    unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)
}
_DECIMAL: Final = {
    **{unit: 1000**power for power, unit in enumerate(("k", "M", "G", "T", "P"), start=1)},
    "K": 1000,
}
_BYTES: Final = {
    "": Decimal(1),
    "B": Decimal(1),
    "m": Decimal("0.001"),
    **{
        spelt: Decimal(factor)
        for unit, factor in {**_BINARY, **_DECIMAL}.items()
        for spelt in (unit, f"{unit}B")
    },
}
_PROCESSORS: Final = {"": Decimal(1), "m": Decimal("0.001")}
_DEVICES: Final = {"": Decimal(1)}
_MOST_BYTES: Final = 1 << 50
_MOST_PROCESSORS: Final = 4096
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Resources:
    """``None`` was not asked for."""

    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: float | None = None

    def shown(self) -> dict[str, str]:
        """By name, as it would be written."""
        asked = {
            CPU: None if self.cpus is None else f"{self.cpus:g}",
            MEMORY: None if self.memory_bytes is None else written(self.memory_bytes),
            GPU: None if self.gpus is None else f"{self.gpus:g}",
        }
        return {name: value for name, value in asked.items() if value is not None}


def resources_of(*described: Any, where: str) -> Resources:
    """Of configurations of a service; what a later one says stands. ``null`` asks for nothing."""
    asked: dict[str, Any] = {}
    for each in described:
        given = each.get("resources") if isinstance(each, Mapping) else None
        if given is not None and not isinstance(given, Mapping):
            raise DeploymentInvalidError(where, "it is no table of quantities")
        asked |= given or {}
    cpus = _quantity(asked.get(CPU), _PROCESSORS, most=_MOST_PROCESSORS, where=f"{where}.{CPU}")
    size = _quantity(asked.get(MEMORY), _BYTES, most=_MOST_BYTES, where=f"{where}.{MEMORY}")
    gpus = _quantity(asked.get(GPU), _DEVICES, most=_MOST_PROCESSORS, where=f"{where}.{GPU}")
    return Resources(
        cpus=float(cpus) if cpus else None,
        memory_bytes=max(int(size), 1) if size else None,
        gpus=float(gpus) if gpus else None,
    )


def written(size: int) -> str:
    """In the largest unit that needs no fraction."""
    for unit, factor in reversed(_BINARY.items()):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _quantity(
    given: object, units: Mapping[str, Decimal], *, most: int, where: str
) -> Decimal | None:
    """Nothing, and 0, ask for no limit, as in Kubernetes."""
    if given is None or given == "":
        return None
    text = "" if isinstance(given, bool) else str(given).strip()
    found = _QUANTITY.fullmatch(text[: _SHOWN + 1])
    if found is None or found[3] not in units:
        raise DeploymentInvalidError(
            where, f"'{str(given)[:_SHOWN]}' is no quantity of {_of(units)}"
        )
    value = Decimal(found[1] + (found[2] or "")) * units[found[3]]
    if value > most:
        raise DeploymentInvalidError(where, f"{text} is more than any machine has")
    return value


def _of(units: Mapping[str, Decimal]) -> str:
    if units is _BYTES:
        return "memory, as 512Mi and 4Gi are"
    return "processors, as 500m and 2 are" if units is _PROCESSORS else "devices"
