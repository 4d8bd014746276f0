"""Identities between services: only what the right key signed for the right service passes."""

import base64
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from libs.chassis.auth import (
    Signer,
    UnauthenticatedError,
    Verifier,
    authorize,
    generate_keys,
)
from libs.chassis.keys import load_private, thumbprint
from libs.contracts.identity import Person, Principal

ORG = UUID("0192e4a0-0000-7000-8000-000000000001")
USER = UUID("0192e4a0-0000-7000-8000-000000000002")
ANN = Person(id=USER, name="ann", email="ann@example.org", first_name="Ann", last_name="Oda")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    generate_keys(tmp_path / "keys", ["gateway", "registry", "builder"])
    return tmp_path / "keys"


@pytest.fixture
def verifier(keys: Path) -> Verifier:
    return Verifier("registry", keys / "public.json")


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": "gateway",
        "aud": "registry",
        "sub": f"user:{USER}",
        "iat": now(),
        "exp": now() + 60,
        "org_id": str(ORG),
        "org": "default",
    } | changes


def signed(keys: Path, by: str, body: dict[str, Any], **header: Any) -> str:
    key = load_private(keys / f"{by}.pem")
    return jwt.encode(
        body, key, algorithm="EdDSA", headers={"kid": thumbprint(key.public_key())} | header
    )


def test_the_signer_and_the_verifier_agree(keys: Path, verifier: Verifier) -> None:
    token = Signer("gateway", keys / "gateway.pem").token(
        f"user:{USER}", audience="registry", org_id=ORG, org="default", person=ANN
    )

    assert verifier.verify(token) == Principal(
        actor=f"user:{USER}", issuer="gateway", org_id=ORG, org="default", person=ANN
    )


def test_a_service_speaks_for_itself(keys: Path, verifier: Verifier) -> None:
    token = Signer("builder", keys / "builder.pem").token(
        "service:builder", audience="registry", org_id=ORG, org="default"
    )

    assert verifier.verify(token).actor == "service:builder"


Forgery = Callable[[Path], str]


def unsigned(keys: Path) -> str:
    kid = thumbprint(load_private(keys / "gateway.pem").public_key())
    return jwt.encode(claims(), "", algorithm="none", headers={"kid": kid})


def symmetric(keys: Path) -> str:
    """The public key, which anybody has, used as the secret of another algorithm."""
    listed = json.loads((keys / "public.json").read_text())["keys"]
    entry = next(each for each in listed if each["iss"] == "gateway")
    secret = base64.urlsafe_b64decode(entry["x"] + "=")
    return jwt.encode(claims(), secret, algorithm="HS256", headers={"kid": entry["kid"]})


def tampered(keys: Path) -> str:
    head, _, signature = signed(keys, "gateway", claims()).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(org_id=str(uuid4()))).encode())
    return f"{head}.{body.rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(unsigned, id="alg-none"),
        pytest.param(symmetric, id="alg-hs256-with-public-key"),
        pytest.param(tampered, id="body-changed"),
        pytest.param(lambda k: signed(k, "gateway", claims(aud="builder")), id="other-audience"),
        pytest.param(
            lambda k: signed(k, "gateway", claims(aud=["registry", "builder"])), id="two-audiences"
        ),
        pytest.param(lambda k: signed(k, "gateway", claims(), kid="stranger"), id="unknown-kid"),
        pytest.param(lambda k: signed(k, "gateway", claims(), kid=""), id="empty-kid"),
        pytest.param(lambda k: signed(k, "builder", claims()), id="kid-of-another-issuer"),
        pytest.param(
            lambda k: signed(k, "gateway", claims(iat=now() - 90, exp=now() - 30)), id="expired"
        ),
        pytest.param(
            lambda k: signed(k, "gateway", claims(iat=now() + 30, exp=now() + 60)), id="not-yet"
        ),
        pytest.param(lambda k: signed(k, "gateway", claims(exp=now() + 61)), id="lives-too-long"),
        pytest.param(
            lambda k: signed(k, "gateway", claims(iat=now() - 5, exp=now() - 6)), id="backwards"
        ),
        pytest.param(
            lambda k: signed(k, "gateway", {n: v for n, v in claims().items() if n != "exp"}),
            id="no-expiry",
        ),
        pytest.param(lambda k: signed(k, "gateway", claims(sub="root")), id="no-actor"),
        pytest.param(lambda k: signed(k, "gateway", claims(org_id="all")), id="no-organisation"),
        pytest.param(
            lambda k: signed(k, "builder", claims(iss="builder", sub=f"user:{USER}")),
            id="service-speaks-for-user",
        ),
        pytest.param(
            lambda k: signed(k, "builder", claims(iss="builder", sub="service:deployer")),
            id="service-speaks-for-service",
        ),
        pytest.param(
            lambda k: signed(k, "gateway", claims(sub="service:builder")),
            id="gateway-speaks-for-service",
        ),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "a.b.c", id="no-token"),
        pytest.param(lambda _: "\udcff.é.☃", id="no-ascii"),
    ],
)
def test_a_forged_identity_is_refused(keys: Path, verifier: Verifier, forge: Forgery) -> None:
    with pytest.raises(UnauthenticatedError):
        verifier.verify(forge(keys))


def test_a_new_key_and_the_old_one_are_both_valid(keys: Path, verifier: Verifier) -> None:
    old = Signer("gateway", keys / "gateway.pem")
    (keys / "gateway.pem").unlink()
    generate_keys(keys, ["gateway", "registry", "builder"])
    os.utime(keys / "public.json", ns=(1, 1))  # a file system whose clock is coarse still differs
    new = Signer("gateway", keys / "gateway.pem")

    actors = [
        verifier.verify(
            signer.token("service:gateway", audience="registry", org_id=ORG, org="default")
        ).actor
        for signer in (old, new)
    ]

    assert actors == ["service:gateway"] * 2


def test_a_key_set_that_cannot_be_read_any_more_changes_nothing(
    keys: Path, verifier: Verifier
) -> None:
    (keys / "public.json").write_text("{")

    with pytest.raises(UnauthenticatedError):
        verifier.verify(signed(keys, "gateway", claims(), kid="stranger"))
    assert verifier.verify(signed(keys, "gateway", claims())).org == "default"


def test_keys_are_for_their_owner_only_and_made_once(keys: Path) -> None:
    before = {file.name: file.read_bytes() for file in keys.iterdir()}

    generate_keys(keys, ["gateway", "registry", "builder"])

    assert {file.name: file.read_bytes() for file in keys.iterdir()} == before
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()} == {0o600}
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700


def test_members_may_do_everything_inside_their_organisation_and_nothing_outside() -> None:
    principal = Principal(actor=f"user:{USER}", issuer="gateway", org_id=ORG, org="default")

    assert authorize(principal, "bento.read") is None
    assert authorize(principal, "bento.read", ORG) is None
    refusal = authorize(principal, "bento.read", uuid4())
    assert refusal is not None
    assert refusal.action == "bento.read"
