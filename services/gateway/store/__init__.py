"""All of the gateway's SQL; none of its decisions."""

from services.gateway.store.identity import IdentityStore
from services.gateway.store.planes import PlaneStore
from services.gateway.store.routes import Origin, RouteStore, StoredRoute

__all__ = ["IdentityStore", "Origin", "PlaneStore", "RouteStore", "StoredRoute"]
