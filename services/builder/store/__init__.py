"""The builder's tables."""

from services.builder.store.attestations import AttestStore
from services.builder.store.builds import BuildStore
from services.builder.store.holds import HoldStore
from services.builder.store.preferences import PreferenceStore
from services.builder.store.recipes import LockKey, RecipeStore
from services.builder.store.sharedlayers import SharedStore
from services.builder.store.upkeep import UpkeepStore

__all__ = [
    "AttestStore",
    "BuildStore",
    "HoldStore",
    "LockKey",
    "PreferenceStore",
    "RecipeStore",
    "SharedStore",
    "UpkeepStore",
]
