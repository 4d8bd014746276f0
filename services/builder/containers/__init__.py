"""Images that need commands: a bento's own Dockerfile, built by an unprivileged child process."""

from services.builder.containers.buildah import Buildah, BuildahUnavailableError
from services.builder.containers.dockerfile import DEFAULT_COMMANDS
from services.builder.containers.limits import Limits
from services.builder.containers.namespace import NamespaceUnavailableError
from services.builder.containers.recipe import Recipe
from services.builder.containers.steps import Sink

__all__ = [
    "DEFAULT_COMMANDS",
    "Buildah",
    "BuildahUnavailableError",
    "Limits",
    "NamespaceUnavailableError",
    "Recipe",
    "Sink",
]
