"""What is otherwise in one version than in another: files, packages, API, metadata. Pure."""

from services.registry.difference.api import ApiChange, api_changes, routes_of
from services.registry.difference.files import FileChanges, comparable, file_changes, steps_of
from services.registry.difference.keys import KeyedChanges, keyed_changes, packages_of

__all__ = [
    "ApiChange",
    "FileChanges",
    "KeyedChanges",
    "api_changes",
    "comparable",
    "file_changes",
    "keyed_changes",
    "packages_of",
    "routes_of",
    "steps_of",
]
