"""Images as others may check them: what lies beside them, who signed, and built once more."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Database
from libs.contracts.identity import Principal
from services.builder.domain import BuildView, Due, Order, Strategy, Verifies, Wish
from services.builder.errors import ImageGoneError, SupplyError, VerificationRefusedError
from services.builder.oci import Remote
from services.builder.oci.manifests import document_of, listed
from services.builder.service.builds import Builds
from services.builder.service.pushing import Destination
from services.builder.service.tx import Tx
from services.builder.supply.manifests import CYCLONEDX, DSSE, IN_TOTO, tag_of
from services.builder.supply.pem import VerifyingKey
from services.builder.supply.provenance import Inputs, from_statement
from services.builder.supply.statements import PREDICATE
from services.builder.supply.values import Base
from services.builder.supply.verdict import Found, verify_image, verify_statement
from services.builder.upstream import Registry

_KINDS: Final[Mapping[str, str]] = {"sbom": CYCLONEDX, "provenance": IN_TOTO}
_LARGEST: Final = 64 * 2**20
_NO_KEYS: Final = "the builder has no YOKOCHO_BUILDER_VERIFYING_KEYS_FILE: it believes nobody"
_PENDING: Final = "what belongs beside the image is still being made"


@dataclass(frozen=True, slots=True)
class Judged:
    """``by`` are fingerprints of keys; ``reasons`` say why what was found is no signature.

    While it is ``pending``, a signature may still come.
    """

    trusted: bool
    by: Sequence[str] = ()
    reasons: Sequence[str] = ()
    pending: bool = False


class Verifying:
    """``keys`` are those of whom the platform believes what they signed."""

    def __init__(
        self,
        database: Database[Tx],
        builds: Builds,
        registry: Registry,
        *,
        destination: Callable[[Order], Destination],
        keys: Sequence[VerifyingKey] = (),
    ) -> None:
        self._database = database
        self._builds = builds
        self._registry = registry
        self._destination = destination
        self._keys = keys

    async def document(self, org: OrgRef, image_digest: str, kind: str) -> tuple[str, bytes]:
        """Media type and content of what lies beside the image."""
        to = self._destination((await self._made(org, image_digest)).order)
        for found in _of_kind(_KINDS[kind], await _beside(to, image_digest)):
            return found
        raise VerificationRefusedError(f"{image_digest} has no {kind} yet")

    async def verdict(self, org: OrgRef, image_digest: str) -> Judged:
        """Whether one of the platform's keys signed it, or why not, or not yet."""
        if not self._keys:
            return Judged(trusted=False, reasons=(_NO_KEYS,))
        to = self._destination((await self._made(org, image_digest)).order)
        async with self._database.read() as tx:  # first: what is signed meanwhile is found below
            pending = await tx.attestations.pending(org.org_id, image_digest)
        found = verify_image(image_digest, await _beside(to, image_digest), self._keys)
        if pending and not found.trusted:
            return Judged(trusted=False, reasons=(*found.reasons, _PENDING), pending=True)
        return Judged(found.trusted, found.by, found.reasons)

    async def rebuild(self, principal: Principal, image_digest: str) -> BuildView:
        """Queue a build from the image's provenance, which fails where another image comes out."""
        org = OrgRef.of(principal)
        to = self._destination((await self._made(org, image_digest)).order)
        inputs = await self._inputs(to, image_digest)
        if inputs.secrets:
            raise VerificationRefusedError("its build used secrets, which a rebuild has not")
        bases = {each: inputs.base for each in inputs.platforms if inputs.base is not None}
        if inputs.base is None:
            bases = await self._bases(to, image_digest)
        bento = await self._registry.resolve(inputs.bento.repository, inputs.bento.version, org)
        if bento.digest != inputs.bento.digest:
            raise VerificationRefusedError(f"{inputs.bento.tag} is {bento.digest} by now")
        wish = Wish(
            strategy=Strategy(inputs.strategy) if inputs.strategy == "assemble" else None,
            platforms=inputs.platforms,
            no_cache=True,
            verifies=Verifies(
                image_digest, tuple((name, base.digest) for name, base in sorted(bases.items()))
            ),
        )
        return await self._builds.order(principal, bento, wish)

    async def _bases(self, to: Destination, image_digest: str) -> dict[str, Base]:
        _, index = await to.remote.manifest(to.repository, image_digest)
        found = {}
        for each in listed(index):
            inputs = await self._inputs(to, each.digest)
            if inputs.base is not None:
                found[str(each.platform)] = inputs.base
        return found

    async def _inputs(self, to: Destination, image_digest: str) -> Inputs:
        """Of a provenance that one of the keys signed; of an unsigned one where there are none."""
        found = await _beside(to, image_digest)
        try:
            if self._keys:
                statement, _ = verify_statement(
                    image_digest, found, self._keys, predicate=PREDICATE
                )
                return from_statement(statement)
            return from_statement(_unsigned(found))
        except SupplyError as error:
            raise VerificationRefusedError(str(error)) from error

    async def _made(self, org: OrgRef, image_digest: str) -> Due:
        async with self._database.read() as tx:
            found = await tx.attestations.built(org.org_id, image_digest)
        if found is None:
            raise ImageGoneError(image_digest)
        return found


async def _beside(to: Destination, image_digest: str) -> list[Found]:
    """What refers to the image, and what lies under the tag that older tools look at."""
    names = [each.digest for each in await to.remote.referrers(to.repository, image_digest)]
    if await to.remote.find(to.repository, tag_of(image_digest, "sig")) is not None:
        names.append(tag_of(image_digest, "sig"))
    return [await _read(to.remote, to.repository, name) for name in names]


async def _read(remote: Remote, repository: str, name: str) -> Found:
    _, manifest = await remote.manifest(repository, name)
    blobs = {}
    for each in document_of(manifest).get("layers", ()):
        if int(each["size"]) <= _LARGEST:
            pieces = remote.blob(repository, each["digest"], size=int(each["size"]))
            blobs[str(each["digest"])] = await _joined(pieces)
    return Found(manifest, blobs)


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([each async for each in pieces])


def _of_kind(kind: str, found: Sequence[Found]) -> Iterator[tuple[str, bytes]]:
    """Media types and contents. Anybody may let something refer to an image, with nothing in it."""
    for each in found:
        manifest = document_of(each.manifest)
        if manifest.get("artifactType") == kind:
            for layer in manifest.get("layers", ()):
                if (content := each.blobs.get(layer["digest"])) is not None:
                    yield str(layer["mediaType"]), content


def _unsigned(found: Sequence[Found]) -> bytes:
    for media_type, content in _of_kind(IN_TOTO, found):
        if media_type != DSSE:
            return content
        raise SupplyError("its provenance is signed, and no keys to verify with are configured")
    raise SupplyError("the image has no provenance yet")
