"""What may go: by a repository's own rule, and how much at once. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.registry.domain import Holder, Retention, Unneeded, Version

BRAKE_SHARE: Final = 0.25
BRAKE_BYTES: Final = 2**30
"""Less than this goes without asking, whatever its share."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one version: ``goes`` or not, and why in words that people read."""

    version: Version
    goes: bool
    reason: str


def judge(
    rule: Retention,
    versions: Sequence[Version],
    *,
    holders: dict[UUID, list[Holder]],
    now: datetime,
) -> list[Verdict]:
    """``versions`` newest first. What any condition keeps stays, and so does what is held."""
    return [
        _judged(rule, version, position, held=holders.get(version.id, []), now=now)
        for position, version in enumerate(versions, start=1)
    ]


def _judged(
    rule: Retention, version: Version, position: int, *, held: list[Holder], now: datetime
) -> Verdict:
    if held:
        names = ", ".join(f"{each.kind} {each.name}" for each in held[:3])
        return Verdict(version, goes=False, reason=f"held by {names}")
    if rule.keep_last is not None and position <= rule.keep_last:
        return Verdict(version, goes=False, reason=f"one of the newest {rule.keep_last}")
    age = now - version.created_at
    if rule.keep_days is not None and age < timedelta(days=rule.keep_days):
        return Verdict(version, goes=False, reason=f"younger than {rule.keep_days} days")
    for key, value in rule.keep_labels.items():
        if (key, value) in version.labels:
            return Verdict(version, goes=False, reason=f"labelled {key}={value}")
    reason = f"{age.days} days old, number {position} from the newest, and nothing keeps it"
    return Verdict(version, goes=True, reason=reason)


def brakes(unneeded: Sequence[Unneeded], *, total: int) -> bool:
    """Whether so many bytes would go, without anybody having let go of them, that it is a fault.

    A database that was restored from an old backup, or a defect of ours, looks like that.
    """
    unexplained = sum(each.size_bytes for each in unneeded if each.released_at is None)
    return unexplained > max(BRAKE_BYTES, total * BRAKE_SHARE)
