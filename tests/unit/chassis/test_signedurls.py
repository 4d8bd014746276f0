"""A signed path is good for one method, one path, one principal and a while."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from libs.chassis.auth import Signer, generate_keys
from libs.chassis.signedurls import SignatureError, UrlSigner, UrlVerifier
from libs.contracts.identity import Principal

WHO = Principal(actor="user:1", issuer="gateway", org_id=UUID(int=1), org="default")
PATH = "/api/registry/transfers/7"
HOUR = timedelta(hours=1)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    generate_keys(tmp_path, ["registry", "builder"])
    return tmp_path


def signed(keys: Path, *, service: str = "registry", lifetime: timedelta = HOUR) -> str:
    signer = UrlSigner(service, keys / f"{service}.pem")
    url = signer.sign("PUT", PATH, principal=WHO, lifetime=lifetime)
    path, _, signature = url.partition("?signature=")
    assert path == PATH
    return signature


def test_it_says_who_may(keys: Path) -> None:
    verifier = UrlVerifier(keys / "public.json", issuers={"registry"})
    assert verifier.verify("PUT", PATH, signed(keys)) == WHO


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("PUT", f"{PATH}/1"), ("PUT", "/api/registry/transfers/8")]
)
def test_it_is_good_for_nothing_else(keys: Path, method: str, path: str) -> None:
    verifier = UrlVerifier(keys / "public.json", issuers={"registry"})
    with pytest.raises(SignatureError, match="another request"):
        verifier.verify(method, path, signed(keys))


def test_it_ends(keys: Path) -> None:
    verifier = UrlVerifier(keys / "public.json", issuers={"registry"})
    with pytest.raises(SignatureError, match="expired"):
        verifier.verify("PUT", PATH, signed(keys, lifetime=timedelta(seconds=-1)))


def test_only_whom_the_verifier_names_may_sign(keys: Path) -> None:
    verifier = UrlVerifier(keys / "public.json", issuers={"registry"})
    with pytest.raises(SignatureError, match="not valid"):
        verifier.verify("PUT", PATH, signed(keys, service="builder"))


def test_an_identity_between_services_is_no_signed_path_and_text_is_none(keys: Path) -> None:
    verifier = UrlVerifier(keys / "public.json", issuers={"registry"})
    identity = Signer("registry", keys / "registry.pem").token(
        "service:registry", audience="gateway", org_id=WHO.org_id, org="default"
    )
    good = signed(keys)
    for other in (identity, "", "x.y.z", good[:-3] + "abc", good + "\0"):
        with pytest.raises(SignatureError, match="not valid"):
            verifier.verify("PUT", PATH, other)
