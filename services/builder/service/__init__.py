"""Use cases: builds from request to end, the making of an image, and who keeps it."""

from services.builder.service.builds import Builds
from services.builder.service.images import Images
from services.builder.service.making import Making
from services.builder.service.tx import SERVICE, Tx

__all__ = ["SERVICE", "Builds", "Images", "Making", "Tx"]
