"""What somebody ordered: a deployment as they describe it, before it is looked up and checked."""

from dataclasses import dataclass

from services.deployer.domain.config import Config
from services.deployer.domain.names import Tag


@dataclass(frozen=True, slots=True)
class Order:
    """``name`` is None where one is to be invented, ``labels`` where they are to be kept."""

    bento: Tag
    config: Config
    name: str | None = None
    labels: tuple[dict[str, str], ...] | None = None
