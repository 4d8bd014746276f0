"""What is otherwise in one version than in another: files, packages, API, metadata. Pure."""

from services.registry.difference.api import ApiChange, api_changes, routes_of
from services.registry.difference.files import FileChanges, file_changes, same_sized
from services.registry.difference.keys import keyed_changes, packages_of

__all__ = [
    "ApiChange",
    "FileChanges",
    "api_changes",
    "file_changes",
    "keyed_changes",
    "packages_of",
    "routes_of",
    "same_sized",
]
