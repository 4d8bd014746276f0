"""What is enforced, for whoever looks at the machine rather than asks a service."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from libs.chassis.cgroups.places import CPU, MEMORY

_TOLD: Final = "limits.json"


def tell(refusals: Mapping[str, str], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / _TOLD).write_text(json.dumps(dict(refusals)))


def told(root: Path) -> str:
    """What ``tell`` told, in words; nothing where it did not."""
    try:
        refusals = json.loads((root / _TOLD).read_bytes())
    except (OSError, ValueError):
        return ""
    return in_words(refusals)


def in_words(refusals: Mapping[str, str]) -> str:
    reasons = {name: refusals[name] for name in (MEMORY, CPU) if name in refusals}
    if not reasons:
        return f"limited by cgroups: {MEMORY}, {CPU}"
    if len(set(reasons.values())) == 1:
        return f"{' and '.join(reasons)} not limited: {next(iter(reasons.values()))}"
    return "; ".join(f"{name} not limited: {why}" for name, why in reasons.items())
