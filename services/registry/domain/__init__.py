"""What the registry speaks of: pure, and known to every other module of it."""

from services.registry.domain.clients import knows_404, takes_urls_only
from services.registry.domain.images import OciUpload, Place
from services.registry.domain.lineage import Edge, Node, sources_of
from services.registry.domain.removal import Holder, Retention, Trashed, Unneeded
from services.registry.domain.transfers import (
    AT_ONCE,
    Strategy,
    Transfer,
    strategy_for,
)
from services.registry.domain.versions import (
    HUGGING_FACE,
    Alias,
    Kind,
    Move,
    Repository,
    Upload,
    Version,
    models_of,
    normalised,
)

__all__ = [
    "AT_ONCE",
    "HUGGING_FACE",
    "Alias",
    "Edge",
    "Holder",
    "Kind",
    "Move",
    "Node",
    "OciUpload",
    "Place",
    "Repository",
    "Retention",
    "Strategy",
    "Transfer",
    "Trashed",
    "Unneeded",
    "Upload",
    "Version",
    "knows_404",
    "models_of",
    "normalised",
    "sources_of",
    "strategy_for",
    "takes_urls_only",
]
