"""Package URLs: one name for the same thing in bills and in provenance."""

from packageurl import PackageURL

from services.builder.supply.debian import Package
from services.builder.supply.values import Bento, Model


def pypi_url(name: str, version: str) -> PackageURL:
    address = "://" in version
    return PackageURL(
        "pypi", None, name, None if address else version, {"vcs_url": version} if address else None
    )


def oci_url(reference: str, digest: str, *, architecture: str | None = None) -> PackageURL:
    """``name@sha256:…``; where it is, and which tag somebody asked for, are qualifiers."""
    where = reference.partition("@")[0]
    repository, colon, tag = where.rpartition(":")
    if not colon or "/" in tag:  # the colon was that of a port
        repository, tag = where, ""
    qualifiers = {"repository_url": repository, "tag": tag, "arch": architecture or ""}
    name = repository.rpartition("/")[2].lower()
    return PackageURL("oci", None, name, digest, {k: v for k, v in qualifiers.items() if v})


def generic_url(kind: str, given: Bento | Model) -> PackageURL:
    """Of what has no type of its own among package URLs."""
    return PackageURL("generic", kind, given.repository, given.version, {"checksum": given.digest})


def deb_url(distribution: str, package: Package) -> PackageURL:
    qualifiers = {"arch": package.architecture}
    return PackageURL("deb", distribution, package.name, package.version, qualifiers)
