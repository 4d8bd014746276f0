"""Names: of deployments, namespaces and bentos, as people write them."""

import re
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from services.deployer.errors import ClusterUnknownError, DeploymentInvalidError

CLUSTER: Final = "default"
NAMESPACE: Final = "default"
"""The organisation's default namespace: what a name without one means."""

_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_MAX: Final = 63
_SLUG: Final = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a deployment is: unique in a cluster."""

    namespace: str
    name: str

    @property
    def wire(self) -> str:
        """The name that BentoML's API shows and takes."""
        return self.name if self.namespace == NAMESPACE else f"{self.namespace}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """``name`` or ``namespace.name``; refuses what cannot become part of a host name."""
        namespace, dot, name = text.rpartition(".")
        found = cls(namespace if dot else NAMESPACE, name)
        for field, value in (("namespace", found.namespace), ("name", found.name)):
            if not _LABEL.fullmatch(value) or len(value) > _LABEL_MAX:
                raise DeploymentInvalidError(
                    field,
                    f"'{value[:80]}' must be 1 to 63 lower-case letters, digits or '-', "
                    "beginning with a letter and not ending in '-'",
                )
        return found


@dataclass(frozen=True, slots=True)
class Tag:
    """A bento as somebody typed it."""

    repository: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """``name``, ``name:latest``, ``name:version`` or ``name@alias``."""
        named, at, alias = text.partition("@")
        repository, _, version = named.partition(":")
        found = cls(repository, f"@{alias}" if at else version or "latest")
        parts = (found.repository, found.version.removeprefix("@"))
        if (at and version) or not all(map(_is_slug, parts)):
            why = f"'{text[:140]}' is no name[:version] and no name@alias"
            raise DeploymentInvalidError("bento", why)
        return found

    @override
    def __str__(self) -> str:
        return f"{self.repository}{'' if self.version.startswith('@') else ':'}{self.version}"


def _is_slug(text: str) -> bool:
    return bool(_SLUG.fullmatch(text)) and len(text) <= _LABEL_MAX


def invented_name(repository: str, suffix: str) -> str:
    """A name for a deployment without one: the bento's as a host label, and ``suffix``."""
    label = re.sub(r"[^a-z0-9]+", "-", repository.lower()).strip("-")
    if not label[:1].isalpha():
        label = f"bento-{label}"
    return f"{label[: _LABEL_MAX - len(suffix) - 1].rstrip('-')}-{suffix}"


def known_cluster(given: str) -> str:
    """The cluster meant; ``""`` is what the client sends for "not given"."""
    if given not in {"", CLUSTER}:
        raise ClusterUnknownError(given, CLUSTER)
    return CLUSTER
