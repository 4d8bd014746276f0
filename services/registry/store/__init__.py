"""All of the registry's SQL is here; none of its rules are."""

from services.registry.store.aliases import AliasStore
from services.registry.store.facts import FIRST_VALUE, FactStore
from services.registry.store.manifests import ManifestStore
from services.registry.store.oci import OciStore
from services.registry.store.versions import RegistryStore

__all__ = ["FIRST_VALUE", "AliasStore", "FactStore", "ManifestStore", "OciStore", "RegistryStore"]
