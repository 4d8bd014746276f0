"""Everything that is pushed beside an image, in one call."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.builder.errors import SupplyError
from services.builder.supply import manifests, signing, statements
from services.builder.supply.manifests import Artifact, Target
from services.builder.supply.pem import SigningKey
from services.builder.supply.values import Subject


@dataclass(frozen=True, slots=True)
class Documents:
    """About one image: what ``bill_of`` and ``statement_of`` return, and the lock's text."""

    provenance: bytes
    bill: bytes | None = None
    """None for an index, whose images have one each."""
    lock: bytes | None = None


def attachments(
    target: Target, image: Subject, documents: Documents, *, key: SigningKey | None = None
) -> tuple[Artifact, ...]:
    """What is pushed by digest comes first; tags, by which others look for signatures, last."""
    if target.digest != image.digest:
        raise SupplyError(f"{target.digest} would be said to be {image.digest}")
    found = [*_plain(target, documents)]
    if key is None:
        bare = manifests.statement(
            target, documents.provenance, predicate=statements.PREDICATE, signed=False
        )
        return (*found, bare)
    return (*found, *_signed(target, image, documents, key=key))


def _plain(target: Target, documents: Documents) -> Iterator[Artifact]:
    if documents.bill is not None:
        yield manifests.bill(target, documents.bill)
    if documents.lock is not None:
        yield manifests.lock(target, documents.lock)


def _signed(
    target: Target, image: Subject, documents: Documents, *, key: SigningKey
) -> Iterator[Artifact]:
    said = {
        statements.SIGNED: statements.written(image, statements.SIGNED, {}),
        statements.PREDICATE: documents.provenance,
    }
    if documents.bill is not None:
        said[statements.BILL] = statements.bill_statement(image, documents.bill)
    for predicate, statement in said.items():
        yield manifests.bundle(target, signing.bundled(statement, key), predicate=predicate)
    envelope = signing.sealed(documents.provenance, key)
    yield manifests.statement(target, envelope, predicate=statements.PREDICATE, signed=True)
    signature = signing.signed(image, key)
    pair = (signature.payload, signature.signature)
    yield manifests.signatures(target, [pair])
    yield manifests.tagged_signatures(image.digest, [pair])
    yield manifests.tagged_attestations(image.digest, [(envelope, statements.PREDICATE)])
