"""What lies beside an image: its bill of materials, its provenance, and who says so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from libs.chassis.client import OrgRef
from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Pool
from libs.contracts.mediatypes import OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder.domain import BuildView, Verifies, Wish
from services.builder.errors import ImageGoneError, VerificationRefusedError
from services.builder.oci import Remote
from services.builder.supply.manifests import CYCLONEDX, DSSE, IN_TOTO
from services.builder.supply.pem import signing_key, verifying_keys
from services.builder.supply.provenance import from_statement
from tests.support.based import WHO, on_base
from tests.support.builder import CALLER, ORG, OTHER, Yard, building
from tests.support.keys import key_pair

NAME = "yatai-bentos"


@pytest.fixture
async def home(yard: Yard) -> Remote:
    return await on_base(yard)


async def built(yard: Yard, tag: str, wish: Wish | None = None) -> BuildView:
    """Built, with all that belongs to it."""
    await yard.push(tag, image={"python_version": "3.11"})
    view = await yard.ended(await yard.order(tag, wish or Wish()))
    assert view.status == "built", view.reason
    while await yard.shop.attesting.turn():
        pass
    return view


async def beside(home: Remote, digest: str) -> Mapping[str, bytes]:
    """By type, the content of what refers to an image."""
    found = {}
    for each in await home.referrers(NAME, digest):
        _, body = await home.manifest(NAME, each.digest)
        [layer, *_] = json.loads(body)["layers"]
        pieces = home.blob(NAME, layer["digest"], size=layer["size"])
        found[str(each.artifact_type)] = b"".join([piece async for piece in pieces])
    return found


async def test_an_image_has_a_bill_of_materials_and_a_provenance(yard: Yard, home: Remote) -> None:
    view = await built(yard, "fox:v1")
    found = await beside(home, str(view.image_digest))
    bill: dict[str, Any] = json.loads(found[CYCLONEDX])
    names = {each["name"] for each in bill["components"]}
    assert {"bentoml", "libc6"} <= names
    inputs = from_statement(found[IN_TOTO])
    assert inputs.image.digest == view.image_digest
    assert (inputs.bento.tag, inputs.strategy, inputs.plan) == (
        "fox:v1",
        "assemble",
        view.plan_digest,
    )
    assert inputs.base is not None
    assert [pin.name for pin in inputs.pins] == ["bentoml"]


async def test_what_refers_to_it_with_nothing_inside_hides_neither(
    yard: Yard, home: Remote
) -> None:
    await yard.push("fox:v1", image={"python_version": "3.11"})
    view = await yard.ended(await yard.order("fox:v1", Wish()))
    digest = str(view.image_digest)
    described, _ = await home.manifest(NAME, digest)
    empty = await home.push_bytes(NAME, b"{}")
    for kind in (CYCLONEDX, IN_TOTO):
        hollow = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind,
            "config": {"mediaType": kind, "digest": empty.digest, "size": empty.size},
            "layers": [],
            "subject": described.to_json(),
        }
        body = json.dumps(hollow).encode()
        await home.put_manifest(NAME, digest_of(body), body, OCI_MANIFEST)
    while await yard.shop.attesting.turn():
        pass
    for name in ("sbom", "provenance"):
        _, content = await yard.shop.verifying.document(WHO, digest, name)
        assert json.loads(content)
    with bound(Cause(CALLER.actor, ORG, "c2")):
        rebuilt = await yard.shop.verifying.rebuild(CALLER, digest)
    assert (await yard.ended(rebuilt.id)).status == "built"


async def test_each_image_of_an_index_has_its_own(yard: Yard, home: Remote) -> None:
    view = await built(yard, "fox:v1", Wish(platforms=("linux/amd64", "linux/arm64")))
    _, index = await home.manifest(NAME, str(view.image_digest))
    for each in json.loads(index)["manifests"]:
        assert CYCLONEDX in await beside(home, each["digest"])
    whole = from_statement((await beside(home, str(view.image_digest)))[IN_TOTO])
    assert whole.platforms == ("linux/amd64", "linux/arm64")


async def test_what_was_attested_is_not_attested_again(yard: Yard, home: Remote) -> None:
    view = await built(yard, "fox:v1")
    before = await home.referrers(NAME, str(view.image_digest))
    assert not await yard.shop.attesting.turn()
    again = await yard.ended(await yard.order("fox:v1", Wish()))
    assert again.reused
    assert not await yard.shop.attesting.turn()
    assert await home.referrers(NAME, str(view.image_digest)) == before


async def test_a_registry_that_is_away_puts_it_off(yard: Yard, home: Remote, pool: Pool) -> None:
    view = await built(yard, "fox:v1")
    await pool.execute("UPDATE build SET attest = 'due'")
    await pool.execute("DELETE FROM layer_contents")
    _, manifest = await home.manifest(NAME, str(view.image_digest))
    yard.away.add(json.loads(manifest)["layers"][0]["digest"])
    assert await yard.shop.attesting.turn()
    [row] = await pool.fetch("SELECT attest, attest_attempts FROM build")
    assert dict(row) == {"attest": "due", "attest_attempts": 1}


async def test_one_that_cannot_be_attested_keeps_no_other_waiting(
    yard: Yard, home: Remote, pool: Pool
) -> None:
    await built(yard, "fox:v1")
    await pool.execute("UPDATE build SET attest = 'due', plan = '{}'")
    other = await built(yard, "hen:v1")
    assert IN_TOTO in await beside(home, str(other.image_digest))


async def test_an_image_is_built_again_from_its_provenance(yard: Yard, home: Remote) -> None:
    del home
    view = await built(yard, "fox:v1", Wish(platforms=("linux/amd64", "linux/arm64")))
    with bound(Cause(CALLER.actor, ORG, "c2")):
        rebuilt = await yard.shop.verifying.rebuild(CALLER, str(view.image_digest))
    ended = await yard.ended(rebuilt.id)
    assert (ended.status, ended.image_digest) == ("built", view.image_digest), ended.reason
    assert ":" not in str(ended.uri).removeprefix("oci://").partition("@")[0], "it has no tag"


async def test_another_image_than_its_provenance_gives_is_found_out(
    yard: Yard, home: Remote
) -> None:
    """The same build is said to have made another image, which is there as well."""
    one, other = await built(yard, "fox:v1"), await built(yard, "hen:v1")
    await beside(home, str(other.image_digest))
    wish = Wish(verifies=Verifies(str(other.image_digest)), no_cache=True)
    ended = await yard.ended(await yard.order("fox:v1", wish))
    assert (ended.status, ended.code) == ("failed", "image-differs")
    assert str(one.image_digest) in str(ended.reason)


async def test_a_signature_is_believed_by_its_key_alone(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    mine, other = key_pair(), key_pair()
    async with building(
        pool, shelves, tmp_path, key=signing_key(mine[0], None), believed=verifying_keys(mine[1])
    ) as yard:
        await on_base(yard)
        view = await built(yard, "fox:v1")
        digest = str(view.image_digest)
        assert (await yard.shop.verifying.verdict(WHO, digest)).trusted
        media_type, _ = await yard.shop.verifying.document(WHO, digest, "provenance")
        assert media_type == DSSE
        with bound(Cause(CALLER.actor, ORG, "c2")):
            rebuilt = await yard.shop.verifying.rebuild(CALLER, digest)
        assert (await yard.ended(rebuilt.id)).status == "built"
        yard.shop.verifying._keys = verifying_keys(other[1])
        verdict = await yard.shop.verifying.verdict(WHO, digest)
        assert (verdict.trusted, bool(verdict.reasons)) == (False, True)
        with pytest.raises(VerificationRefusedError):
            await yard.shop.verifying.rebuild(CALLER, digest)


async def test_an_image_that_waits_for_its_signature_is_told_from_one_that_has_none(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    private, public = key_pair()
    async with building(
        pool, shelves, tmp_path, key=signing_key(private, None), believed=verifying_keys(public)
    ) as yard:
        await on_base(yard)
        await yard.push("fox:v1", image={"python_version": "3.11"})
        digest = str((await yard.ended(await yard.order("fox:v1", Wish()))).image_digest)
        waits = await yard.shop.verifying.verdict(WHO, digest)
        await pool.execute("UPDATE build SET attest = 'failed'")
        given_up = await yard.shop.verifying.verdict(WHO, digest)
        await pool.execute("UPDATE build SET attest = 'due'")
        assert await yard.shop.attesting.turn()
        signed = await yard.shop.verifying.verdict(WHO, digest)
    assert (waits.trusted, waits.pending) == (False, True)
    assert (given_up.trusted, given_up.pending) == (False, False)
    assert given_up.reasons == ("the image has no signature",)
    assert (signed.trusted, signed.pending) == (True, False)


async def test_what_lies_beside_an_image_is_its_organisations_alone(
    yard: Yard, home: Remote
) -> None:
    del home
    view = await built(yard, "fox:v1")
    with pytest.raises(ImageGoneError):
        await yard.shop.verifying.document(OrgRef(OTHER, "other"), str(view.image_digest), "sbom")
