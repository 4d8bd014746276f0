"""Each kind of thing in an image as CycloneDX has it, with its package URL."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from packageurl import PackageURL

from services.builder.supply.debian import Package
from services.builder.supply.purls import deb_url, generic_url, oci_url, pypi_url
from services.builder.supply.values import Base, Bento, Model, Subject
from services.builder.supply.wheels import Wheel

LOCKED: Final = "yokocho:lock:hash"
"""A file that the lock allows; which of them was installed depends on the platform."""

_ALGORITHMS: Final = {
    "sha256": HashAlgorithm.SHA_256,
    "sha384": HashAlgorithm.SHA_384,
    "sha512": HashAlgorithm.SHA_512,
}
_LICENSES: Final = LicenseFactory()


def image(subject: Subject, platform: str) -> Component:
    url = oci_url(subject.name, subject.digest, architecture=platform.split("/")[1])
    return _component(
        ComponentType.CONTAINER, subject.name, subject.digest, url=url, digest=subject.digest
    )


def base(given: Base) -> Component:
    url = oci_url(given.reference, given.digest)
    return _component(
        ComponentType.CONTAINER, given.reference, given.digest, url=url, digest=given.digest
    )


def bento(given: Bento) -> Component:
    return _component(
        ComponentType.APPLICATION,
        given.repository,
        given.version,
        url=generic_url("bento", given),
        digest=given.digest,
    )


def model(given: Model) -> Component:
    return _component(
        ComponentType.MACHINE_LEARNING_MODEL,
        given.repository,
        given.version,
        url=generic_url("model", given),
        digest=given.digest,
    )


def debian(package: Package, distribution: str) -> Component:
    url = deb_url(distribution, package)
    component = _component(ComponentType.LIBRARY, package.name, package.version, url=url)
    if package.source is not None:
        component.properties.add(Property(name="yokocho:debian:source", value=package.source))
    return component


def wheel(given: Wheel, hashes: Iterable[str]) -> Component:
    found = sorted(hashes)
    component = _component(
        ComponentType.LIBRARY, given.name, given.version, url=pypi_url(given.name, given.version)
    )
    component.description = given.summary
    component.licenses = licenses_of(given)
    if given.home is not None:
        component.external_references.add(
            ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(given.home))
        )
    if len(found) == 1:
        component.hashes.add(_hash(found[0]))
    else:
        component.properties.update(Property(name=LOCKED, value=each) for each in found)
    return component


def licenses_of(given: Wheel) -> list[LicenseExpression | DisjunctiveLicense]:
    """One expression, or names: the format has no place for both."""
    if given.license_expression is not None:
        return [_license(given.license_expression)]
    found = [_license(each) for each in given.licenses]
    if len(found) == 1:
        return found
    return [
        DisjunctiveLicense(name=str(each.value)) if isinstance(each, LicenseExpression) else each
        for each in found
    ]


@lru_cache(maxsize=4096)
def _license(text: str) -> LicenseExpression | DisjunctiveLicense:
    """Many packages, few licenses; and whether one is an expression takes a parser to say."""
    return _LICENSES.make_from_string(text)


def _component(
    kind: ComponentType, name: str, version: str, *, url: PackageURL, digest: str | None = None
) -> Component:
    return Component(
        name=name,
        type=kind,
        version=version,
        purl=url,
        bom_ref=str(url),
        hashes=[_hash(digest)] if digest else (),
    )


def _hash(text: str) -> HashType:
    algorithm, _, content = text.partition(":")
    return HashType(alg=_ALGORITHMS[algorithm], content=content)
