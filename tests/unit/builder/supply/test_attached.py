"""Manifests of what is attached to an image, and what is concluded from them."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from libs.contracts.mediatypes import OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder.errors import SupplyError
from services.builder.keys import load_signing_key, load_verifying_keys
from services.builder.supply import manifests
from services.builder.supply.attachments import Documents, attachments
from services.builder.supply.documents import canonical
from services.builder.supply.pem import SigningKey, VerifyingKey
from services.builder.supply.provenance import statement_of
from services.builder.supply.sbom import bill_of
from services.builder.supply.signing import bundled, sealed, signed
from services.builder.supply.statements import BILL, PREDICATE, SIGNED, bill_statement, written
from services.builder.supply.values import Subject
from services.builder.supply.verdict import MANIFEST_BYTES, Found, verify_image, verify_statement
from services.registry.manifests import read_manifest
from tests.support import supply

OURS, THEIRS = (SigningKey(ec.derive_private_key(each, ec.SECP256R1())) for each in (21, 22))
STATEMENT = statement_of(supply.inputs())


def pairs(*keys: SigningKey) -> list[tuple[bytes, str]]:
    return [(each.payload, each.signature) for each in (signed(supply.SUBJECT, k) for k in keys)]


def read(artifact: manifests.Artifact) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(artifact.manifest)
    return found


ATTACHED = {
    "application/vnd.cyclonedx+json": manifests.bill(supply.TARGET, b"{}"),
    "application/vnd.yokocho.lock.v1+text": manifests.lock(supply.TARGET, b"a==1\n"),
    "application/vnd.in-toto+json": manifests.statement(
        supply.TARGET, STATEMENT, predicate=PREDICATE, signed=False
    ),
    "application/vnd.dev.sigstore.bundle.v0.3+json": manifests.bundle(
        supply.TARGET, bundled(STATEMENT, OURS), predicate=PREDICATE
    ),
    "application/vnd.dev.cosign.artifact.sig.v1+json": manifests.signatures(
        supply.TARGET, pairs(OURS)
    ),
}


@pytest.mark.parametrize("kind", ATTACHED)
def test_what_is_attached_refers_to_its_image(kind: str) -> None:
    document = read(ATTACHED[kind])
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert document["artifactType"] == kind
    assert document["subject"] == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": supply.IMAGE,
        "size": 1234,
    }
    assert ATTACHED[kind].tag is None


@pytest.mark.parametrize("kind", ATTACHED)
def test_every_blob_of_a_manifest_is_there_to_be_pushed(kind: str) -> None:
    artifact = ATTACHED[kind]
    document = read(artifact)
    blobs = {each.digest: len(each.data) for each in artifact.blobs}
    assert {each["digest"]: each["size"] for each in [document["config"], *document["layers"]]} == (
        blobs
    )
    assert artifact.manifest == canonical(document)


@pytest.mark.parametrize("kind", ATTACHED)
def test_our_own_registry_lists_it_as_a_referrer(kind: str) -> None:
    artifact = ATTACHED[kind]
    kept = read_manifest(artifact.manifest, artifact.media_type, algorithm="sha256")
    assert (kept.digest, kept.artifact_type, kept.subject) == (artifact.digest, kind, supply.IMAGE)
    assert kept.blobs == {each.digest for each in artifact.blobs}


def test_the_configuration_is_the_empty_one() -> None:
    empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    for kind, artifact in ATTACHED.items():
        config = read(artifact)["config"]
        own = kind if kind == manifests.SIGNATURES else "application/vnd.oci.empty.v1+json"
        assert config == {"mediaType": own, "digest": empty, "size": 2}


def test_a_signed_statement_says_that_it_is_in_an_envelope() -> None:
    artifact = manifests.statement(
        supply.TARGET, sealed(STATEMENT, OURS), predicate=PREDICATE, signed=True
    )
    [layer] = read(artifact)["layers"]
    assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
    assert layer["annotations"]["in-toto.io/predicate-type"] == PREDICATE


def test_cosigns_tag_is_made_of_the_digest() -> None:
    artifact = manifests.tagged_signatures(supply.IMAGE, pairs(OURS, THEIRS))
    assert artifact.tag == f"sha256-{'1' * 64}.sig"
    document = read(artifact)
    assert "subject" not in document
    assert document["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert [each["mediaType"] for each in document["layers"]] == [
        "application/vnd.dev.cosign.simplesigning.v1+json"
    ] * 2
    config = json.loads(artifact.blobs[0].data)
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in document["layers"]]
    assert len(artifact.blobs) == 2  # both sign the same payload

    attested = manifests.tagged_attestations(supply.IMAGE, [(sealed(STATEMENT, OURS), PREDICATE)])
    assert attested.tag == f"sha256-{'1' * 64}.att"
    [layer] = read(attested)["layers"]
    assert layer["annotations"]["predicateType"] == PREDICATE


@settings(max_examples=50, deadline=None)
@given(st.permutations(pairs(OURS, THEIRS) + pairs(OURS)))
def test_order_and_repetition_decide_nothing(signatures: list[tuple[bytes, str]]) -> None:
    once = pairs(OURS, THEIRS)
    for artifact, expected in (
        (
            manifests.signatures(supply.TARGET, signatures),
            manifests.signatures(supply.TARGET, once),
        ),
        (
            manifests.tagged_signatures(supply.IMAGE, signatures),
            manifests.tagged_signatures(supply.IMAGE, once),
        ),
    ):
        assert artifact == expected
        assert artifact.digest == digest_of(expected.manifest)


FORMS = [
    manifests.signatures(supply.TARGET, pairs(OURS, THEIRS)),
    manifests.tagged_signatures(supply.IMAGE, pairs(OURS, THEIRS)),
]


@pytest.mark.parametrize("artifact", FORMS, ids=["referrer", "tag"])
def test_either_form_is_believed_by_each_of_several_keys(artifact: manifests.Artifact) -> None:
    here = [supply.found(artifact)]
    by_one = verify_image(supply.IMAGE, here, [OURS.public])
    assert (by_one.trusted, by_one.by) == (True, (OURS.public.fingerprint,))
    both = verify_image(supply.IMAGE, here, [THEIRS.public, OURS.public])
    assert both.by == tuple(sorted([OURS.public.fingerprint, THEIRS.public.fingerprint]))
    assert both.detail.startswith("signed by ")


def test_one_right_signature_is_enough_among_much_that_is_wrong() -> None:
    right = supply.found(FORMS[0])
    wrong = [Found(b"{", {}), Found(right.manifest, {}), supply.found(ATTACHED[manifests.LOCK])]
    verdict = verify_image(supply.IMAGE, [*wrong, right], [OURS.public])
    assert verdict.trusted
    assert len(verdict.reasons) == 4  # no JSON, two blobs that are not there, another's signature


def untrusted(found: list[Found], keys: list[Any] | None = None) -> str:
    verdict = verify_image(supply.IMAGE, found, [OURS.public] if keys is None else keys)
    assert not verdict.trusted
    assert verdict.by == ()
    return verdict.detail


def test_an_image_without_a_right_signature_is_not_trusted_and_why() -> None:
    right = supply.found(manifests.signatures(supply.TARGET, pairs(OURS)))
    unlike = {digest: data + b" " for digest, data in right.blobs.items()}
    bare = right.manifest.replace(manifests.SIGNATURE.encode(), b"other")
    elsewhere = manifests.Target(OCI_MANIFEST, supply.OTHER, 1)
    of_other = signed(Subject(name="x", digest=supply.OTHER), OURS)
    moved = manifests.signatures(supply.TARGET, [(of_other.payload, of_other.signature)])
    assert untrusted([]) == "the image has no signature"
    assert untrusted([right], []) == "no public key is configured to check signatures with"
    assert "none of the public keys" in untrusted([right], [THEIRS.public])
    assert "is not there" in untrusted([Found(right.manifest, {})])
    assert "other bytes than its digest" in untrusted([Found(right.manifest, unlike)])
    assert "none of the public keys" in untrusted([Found(bare, right.blobs)])
    assert f"another image: {supply.OTHER}" in untrusted([supply.found(moved)])
    referring = supply.found(manifests.signatures(elsewhere, pairs(OURS)))
    assert f"refers to another image: {supply.OTHER}" in untrusted([referring])
    assert "not one of OCI's" in untrusted([Found(b"{}", {})])
    assert "are the most" in untrusted([Found(b" " * (MANIFEST_BYTES + 1), {})])
    assert "no signature" in untrusted([supply.found(ATTACHED[manifests.LOCK])])


def test_only_so_many_manifests_are_looked_at() -> None:
    right = supply.found(FORMS[0])
    assert "only 64 of 65" in untrusted([supply.found(ATTACHED[manifests.LOCK])] * 64 + [right])


def test_a_statement_is_believed_of_its_image_only() -> None:
    envelope = sealed(STATEMENT, OURS)
    attached = [
        manifests.statement(supply.TARGET, envelope, predicate=PREDICATE, signed=True),
        manifests.bundle(supply.TARGET, bundled(STATEMENT, OURS), predicate=PREDICATE),
        manifests.tagged_attestations(supply.IMAGE, [(envelope, PREDICATE)]),
    ]
    for each in attached:
        found = [Found(b"", {}), supply.found(each)]
        assert provenance(supply.IMAGE, found, OURS) == (STATEMENT, OURS.public)
        with pytest.raises(SupplyError, match="none of the public keys"):
            provenance(supply.IMAGE, found, THEIRS)
        with pytest.raises(SupplyError, match="no signed statement"):
            verify_statement(supply.IMAGE, found[1:], [OURS.public], predicate=BILL)
    moved = supply.found(attached[2])
    with pytest.raises(SupplyError, match="about something else"):
        provenance(supply.OTHER, [moved], OURS)
    nothing = manifests.tagged_attestations(supply.IMAGE, [(sealed(b"{}", OURS), PREDICATE)])
    with pytest.raises(SupplyError, match="no in-toto statement"):
        provenance(supply.IMAGE, [supply.found(nothing)], OURS)
    with pytest.raises(SupplyError, match="no signed statement"):
        provenance(supply.IMAGE, [], OURS)


def provenance(image: str, found: list[Found], key: SigningKey) -> tuple[bytes, VerifyingKey]:
    return verify_statement(image, found, [key.public], predicate=PREDICATE)


def attested(statement: bytes, predicate: str) -> Found:
    bundle = bundled(statement, OURS)
    return supply.found(manifests.bundle(supply.TARGET, bundle, predicate=predicate))


def test_a_bundle_signs_an_image_only_where_it_says_nothing_else() -> None:
    signature = attested(written(supply.SUBJECT, SIGNED, {}), SIGNED)
    other = written(Subject(name="x", digest=supply.OTHER), SIGNED, {})
    assert verify_image(supply.IMAGE, [signature], [OURS.public]).trusted
    assert "none of the public keys" in untrusted([signature], [THEIRS.public])
    assert "about something else" in untrusted([attested(other, SIGNED)])
    # annotations are nobody's word: what is signed decides
    assert "no signature" in untrusted([attested(STATEMENT, SIGNED)])


def test_a_bill_of_materials_can_be_signed() -> None:
    bill = bill_of(supply.contents())
    statement = bill_statement(supply.SUBJECT, bill)
    found = [attested(STATEMENT, PREDICATE), attested(statement, BILL)]
    read, _ = verify_statement(supply.IMAGE, found, [OURS.public], predicate=BILL)
    assert canonical(json.loads(read)["predicate"]) == bill


DOCUMENTS = Documents(STATEMENT, bill_of(supply.contents()), supply.LOCK.encode())


def test_with_a_key_every_form_of_what_is_attached_is_believed() -> None:
    everything = attachments(supply.TARGET, supply.SUBJECT, DOCUMENTS, key=OURS)
    found = [supply.found(each) for each in everything]
    for each in (found, found[::-1]):
        assert verify_image(supply.IMAGE, each, [OURS.public]).reasons == ()
        for predicate in (PREDICATE, BILL):
            verify_statement(supply.IMAGE, each, [OURS.public], predicate=predicate)
    alone = [each for each in found if verify_image(supply.IMAGE, [each], [OURS.public]).trusted]
    assert len(alone) == 3  # a bundle, a referrer, a tag
    assert [each.tag is not None for each in everything] == [False] * 7 + [True] * 2
    assert attachments(supply.TARGET, supply.SUBJECT, DOCUMENTS, key=OURS) == everything


def test_without_a_key_nothing_is_signed_and_all_is_said() -> None:
    everything = attachments(supply.TARGET, supply.SUBJECT, DOCUMENTS)
    assert [each.artifact_type for each in everything] == [
        manifests.CYCLONEDX,
        manifests.LOCK,
        manifests.IN_TOTO,
    ]
    assert untrusted([supply.found(each) for each in everything]) == "the image has no signature"
    least = attachments(supply.TARGET, supply.SUBJECT, Documents(STATEMENT))
    assert [each.artifact_type for each in least] == [manifests.IN_TOTO]
    with pytest.raises(SupplyError, match="would be said to be"):
        attachments(supply.TARGET, Subject(name="x", digest=supply.OTHER), DOCUMENTS)


def test_keys_come_from_files_and_errors_name_the_file(tmp_path: Path) -> None:
    assert load_signing_key(None) is None
    with pytest.raises(SupplyError, match="signing_key_file is not"):
        load_signing_key(None, SecretStr("pw"))
    file = tmp_path / "key.pem"
    with pytest.raises(SupplyError, match=r"key\.pem: it cannot be read: No such file"):
        load_signing_key(file)
    file.write_bytes(b"nothing")
    with pytest.raises(SupplyError, match=r"key\.pem: the signing key is no private key") as said:
        load_signing_key(file, SecretStr("hunter2"))
    assert "hunter2" not in str(said.value)
    file.write_bytes(OURS.public.pem() + THEIRS.public.pem())
    assert load_verifying_keys(file) == (OURS.public, THEIRS.public)
    file.write_bytes(b"")
    with pytest.raises(SupplyError, match=r"public keys in .*key\.pem"):
        load_verifying_keys(file)
