"""Signatures that cosign accepts, and whose are accepted here: with what cosign itself made."""

import base64
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.mediatypes import OCI_MANIFEST
from services.builder.errors import SupplyError
from services.builder.supply import manifests, pem, signing
from services.builder.supply.pem import SigningKey, signing_key, verifying_keys
from services.builder.supply.signing import (
    Signed,
    bundled,
    checked,
    payload_of,
    sealed,
    signed,
    unbundled,
    unsealed,
)
from services.builder.supply.values import Subject
from services.builder.supply.verdict import verify_image, verify_statement
from tests.support import supply

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "data/builder/supply/cosign.json").read_text()
)
MADE_BY_COSIGN: Final = VECTORS["signature"]
CURVE: Final = ec.SECP256R1()
OURS, THEIRS = (SigningKey(ec.derive_private_key(each, CURVE)) for each in (11, 12))
EDWARDS: Final = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))


def written(
    key: Any, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8
) -> bytes:
    hidden: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    data: bytes = key.private_bytes(Encoding.PEM, form, hidden)
    return data


def test_a_signature_of_cosigns_is_accepted() -> None:
    [key] = verifying_keys(MADE_BY_COSIGN["key"].encode())
    given = Signed(MADE_BY_COSIGN["payload"].encode(), MADE_BY_COSIGN["signature"])
    assert checked(given, MADE_BY_COSIGN["digest"], [OURS.public, key]) == key


def test_what_is_signed_is_what_cosign_signs() -> None:
    image = Subject(name=MADE_BY_COSIGN["reference"], digest=MADE_BY_COSIGN["digest"])
    assert payload_of(image) == MADE_BY_COSIGN["payload"].encode()
    said = json.loads(payload_of(image, {"creator": "yokocho"}))
    assert said["optional"] == {"creator": "yokocho"}


def test_a_key_that_cosign_generated_signs() -> None:
    key = signing_key(VECTORS["private_key"]["pem"].encode(), b"")
    given = signed(supply.SUBJECT, key)
    assert checked(given, supply.IMAGE, [key.public]) == key.public
    assert signing_key(VECTORS["private_key"]["pem"].encode(), None).public == key.public
    with pytest.raises(SupplyError, match="password is wrong"):
        signing_key(VECTORS["private_key"]["pem"].encode(), b"other")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"N":65536', '"N":1048576', "more memory"),
        ('"N":65536', '"N":99999999999', "not what cosign writes"),
        ('"N":65536', '"N":65535', "damaged"),
        ("scrypt", "argon2", "not cosign's"),
        ('"salt"', '"other"', "not what cosign writes"),
        ('"ciphertext":"', '"ciphertext":"!', "damaged"),
    ],
)
def test_a_damaged_key_of_cosigns_says_so(old: str, new: str, words: str) -> None:
    lines = VECTORS["private_key"]["pem"].strip().splitlines()
    text = base64.b64decode("".join(lines[1:-1])).decode()
    assert old in text
    block = base64.b64encode(text.replace(old, new).encode()).decode()
    with pytest.raises(SupplyError, match=words):
        signing_key(f"{lines[0]}\n{block}\n{lines[-1]}\n".encode(), b"")


def test_the_envelope_is_signed_as_dsse_says() -> None:
    given = VECTORS["dsse"]
    message = signing._encoded(given["type"], given["payload"].encode())
    assert message == given["encoded"].encode()
    raw = base64.b64decode(given["signature"])
    r, s = (int.from_bytes(each) for each in (raw[:32], raw[32:]))
    key = SigningKey(ec.derive_private_key(int(given["d"]), CURVE))
    assert key.sign(message) == encode_dss_signature(r, s)


def test_bundles_of_the_conformance_suite_are_read_as_it_says() -> None:
    of_file = "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"
    target = manifests.Target(OCI_MANIFEST, of_file, 1)
    for name, words in (("good", ""), ("unknown", "no in-toto statement")):
        given = VECTORS["bundles"][name]
        [key] = verifying_keys(given["key"].encode())
        bundle = json.dumps(given["bundle"]).encode()
        statement, signer = unbundled(bundle, [OURS.public, key])
        assert signer == key
        assert json.loads(statement)["subject"][0]["name"] == "a.txt"
        hint = base64.b64decode(given["bundle"]["verificationMaterial"]["publicKey"]["hint"])
        assert hint.hex() == key.fingerprint
        found = [supply.found(manifests.bundle(target, bundle, predicate="x"))]
        with pytest.raises(SupplyError, match=words) if words else nullcontext():
            kind = "https://example.com/test"
            assert verify_statement(of_file, found, [key], predicate=kind) == (statement, key)
        assert not verify_image(of_file, found, [key]).trusted


@pytest.mark.parametrize("key", [OURS, EDWARDS], ids=["ecdsa", "ed25519"])
def test_signing_twice_gives_the_same_bytes(key: SigningKey) -> None:
    assert signed(supply.SUBJECT, key) == signed(supply.SUBJECT, key)
    assert sealed(b"{}", key) == sealed(b"{}", key)
    assert checked(signed(supply.SUBJECT, key), supply.IMAGE, [key.public]) == key.public
    assert unsealed(sealed(b"{}", key), [key.public]) == (b"{}", key.public)
    assert bundled(b"{}", key) == bundled(b"{}", key)
    assert unbundled(bundled(b"{}", key), [key.public]) == (b"{}", key.public)


def test_a_signature_says_why_it_is_none() -> None:
    right = signed(supply.SUBJECT, OURS)
    cases: list[tuple[Signed, str, list[pem.VerifyingKey], str]] = [
        (right, supply.IMAGE, [], "no public key is configured"),
        (right, supply.IMAGE, [THEIRS.public], f"none .*{THEIRS.public.fingerprint[:16]}"),
        (right, supply.OTHER, [OURS.public], f"another image: {supply.IMAGE}"),
        (Signed(right.payload + b" ", right.signature), supply.IMAGE, [OURS.public], "none of"),
        (Signed(right.payload, "????"), supply.IMAGE, [OURS.public], "not base64"),
        (Signed(right.payload, "ü"), supply.IMAGE, [OURS.public], "not base64"),
        (Signed(right.payload, ""), supply.IMAGE, [OURS.public], "none of"),
        (Signed(right.payload, "A" * 2000), supply.IMAGE, [OURS.public], "too long"),
    ]
    for each, digest, keys, words in cases:
        with pytest.raises(SupplyError, match=words):
            checked(each, digest, keys)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{}", "not about an image"),
        (b"[]", "not a JSON object"),
        (payload_of(supply.SUBJECT).replace(b"container", b"other"), "not about an image"),
        (b" " * (signing.PAYLOAD + 1), "are the most"),
    ],
)
def test_what_our_own_key_signed_must_still_be_about_an_image(payload: bytes, words: str) -> None:
    given = Signed(payload, base64.b64encode(OURS.sign(payload)).decode())
    with pytest.raises(SupplyError, match=words):
        checked(given, supply.IMAGE, [OURS.public])


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=0, max_value=2**20), st.integers(min_value=1, max_value=255))
def test_no_byte_of_an_envelope_may_be_changed(where: int, change: int) -> None:
    statement = b'{"about":"it"}'
    envelope = bytearray(sealed(statement, OURS))
    envelope[where % len(envelope)] ^= change
    try:
        found, key = unsealed(bytes(envelope), [OURS.public])
    except SupplyError:
        return
    assert (found, key) == (statement, OURS.public)  # bits that base64 does not use


def test_an_envelope_may_have_signatures_of_others_and_either_alphabet() -> None:
    envelope = json.loads(sealed(b"??>", OURS))
    envelope["signatures"].insert(0, {"sig": base64.b64encode(b"x" * 70).decode()})
    text = json.dumps(envelope).replace("+", "-")
    envelope["signatures"] = [
        {"sig": each["sig"].replace("+", "-").replace("/", "_")} for each in envelope["signatures"]
    ]
    for form in (text, json.dumps(envelope)):
        with_type = form.replace("vnd.in-toto-json", "vnd.in-toto+json")
        assert unsealed(with_type.encode(), [THEIRS.public, OURS.public])[1] == OURS.public


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        (b"{}", "not what DSSE says"),
        (b'{"payload":"","payloadType":"x","signatures":[]}', "not what DSSE says"),
        (b'{"payload":"?","payloadType":"x","signatures":[{"sig":""}]}', "not what DSSE says"),
        (b'{"payload":"","payloadType":"text/plain","signatures":[{"sig":""}]}', "text/plain"),
    ],
)
def test_what_is_no_envelope_says_so(envelope: bytes, words: str) -> None:
    with pytest.raises(SupplyError, match=words):
        unsealed(envelope, [OURS.public])


def test_a_bundle_of_something_else_says_so() -> None:
    message = b'{"mediaType":"x","messageSignature":{"signature":""}}'
    with pytest.raises(SupplyError, match="no statement in it"):
        unbundled(message, [OURS.public])
    with pytest.raises(SupplyError, match="not what DSSE says"):
        unbundled(b'{"dsseEnvelope":{}}', [OURS.public])


def test_keys_are_read_in_the_forms_that_people_have() -> None:
    assert signing_key(written(OURS.key), None).public == OURS.public
    assert signing_key(written(OURS.key, b"pw"), b"pw").public == OURS.public
    assert (
        signing_key(written(OURS.key, form=PrivateFormat.TraditionalOpenSSL), None).public
        == OURS.public
    )
    assert signing_key(written(EDWARDS.key), None).public == EDWARDS.public
    both = verifying_keys(b"# old\n" + OURS.public.pem() + b"# new\n" + THEIRS.public.pem())
    assert both == (OURS.public, THEIRS.public)


def test_keys_that_are_none_say_why() -> None:
    cases: list[tuple[bytes, bytes | None, str]] = [
        (b"", None, "no private key in PEM"),
        (OURS.public.pem(), None, "no private key in PEM"),
        (written(OURS.key, b"pw"), None, "is encrypted, and no password"),
        (written(OURS.key, b"pw"), b"no", "or the password is wrong"),
        (written(OURS.key), b"pw", "not encrypted, but a password"),
        (written(ec.generate_private_key(ec.SECP384R1())), None, "neither ECDSA"),
        (written(rsa.generate_private_key(65537, 2048)), None, "neither ECDSA"),
        (b"x" * (pem.LIMIT + 1), None, "are the most"),
    ]
    for data, password, words in cases:
        with pytest.raises(SupplyError, match=words):
            signing_key(data, password)
    rest = ec.generate_private_key(ec.SECP384R1()).public_key()
    for public, words in [
        (b"", "not 0"),
        (OURS.public.pem() * 65, "not 65"),
        (OURS.public.pem().replace(b"M", b"!"), "cannot be read"),
        (pem.VerifyingKey(rest).pem(), "neither ECDSA"),
        (b"x" * (pem.LIMIT + 1), "are the most"),
    ]:
        with pytest.raises(SupplyError, match=words):
            verifying_keys(public)


def test_a_key_shows_its_fingerprint_and_nothing_else() -> None:
    shown = f"{OURS!r} {OURS.public!r}"
    assert shown.count(OURS.public.fingerprint[:16]) == 2
    assert len(shown) < 80
