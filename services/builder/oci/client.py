"""One registry of images, whoever's: what is there is read and verified, what is new is pushed."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Final

import aiohttp
from yarl import URL

from libs.contracts.types import digest_of
from services.builder.errors import BuildFailedError
from services.builder.oci.access.protocol import Access
from services.builder.oci.descriptor import Descriptor
from services.builder.oci.door import Door
from services.builder.oci.downloads import Download
from services.builder.oci.manifests import (
    ACCEPT,
    LIMIT,
    as_referrer,
    described,
    media_type_of,
    subject_of,
)
from services.builder.oci.reference import ReferenceInvalidError, is_digest, is_repository, is_tag
from services.builder.oci.referrers import Referrers
from services.builder.oci.refusals import Answer, refusal
from services.builder.oci.transport import Patience, Transport, Trust
from services.builder.oci.uploads import Pushed, Uploads

__all__ = ["Access", "Patience", "Pushed", "Remote"]

_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
_ABSENT: Final = 404
_NOT_MOUNTED: Final = frozenset({401, 403, 404, 405})
_PATIENCE: Final = Patience()


class Remote:
    """One registry with one set of credentials. ``session`` itself has none, and no cookies.

    ``base_url`` begins with ``http:`` only where a setting says so of this registry. ``ssl`` trusts
    what it trusts and nothing besides: a private authority's context loads the public ones too
    where blobs are redirected to a public store.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        access: Access,
        ssl: Trust = True,
        patience: Patience = _PATIENCE,
    ) -> None:
        self._transport = Transport(session, base_url, access=access, ssl=ssl, patience=patience)
        self._uploads = Uploads(self._transport)
        self._referrers = Referrers(self._transport, read=self._content, put=self.put_manifest)

    async def find(self, repository: str, reference: str) -> Descriptor | None:
        """What is there under a tag or digest, without its content."""
        answer = await self._transport.ask(
            "HEAD",
            self._manifest(repository, reference),
            scope=pulling(repository),
            headers={"Accept": ACCEPT},
        )
        if answer.status == _ABSENT:
            return None
        self._require(answer, _OK)
        found = described(answer.headers, reference)
        if found is None:
            found, _ = await self.manifest(repository, reference)
        return found

    async def manifest(self, repository: str, reference: str) -> tuple[Descriptor, bytes]:
        """As the registry has it, byte for byte."""
        answer = await self._transport.ask(
            "GET",
            self._manifest(repository, reference),
            scope=pulling(repository),
            headers={"Accept": ACCEPT},
            limit=LIMIT,
        )
        if answer.status == _ABSENT:
            where = f"{self._transport.name}/{repository}"
            raise BuildFailedError("base-image-absent", f"{where} has no {reference}")
        self._require(answer, _OK)
        said = answer.headers.get("Docker-Content-Digest", "")
        expected = reference if is_digest(reference) else said
        algorithm = expected.partition(":")[0] if is_digest(expected) else "sha256"
        digest = digest_of(answer.body, algorithm)
        if is_digest(expected) and digest != expected:
            raise BuildFailedError(
                "image-invalid", f"{self._transport.name} sent {digest} for {expected}"
            )
        media_type = media_type_of(answer.headers.get("Content-Type", ""), answer.body)
        return Descriptor(media_type, digest, len(answer.body)), answer.body

    async def has_blob(self, repository: str, digest: str) -> bool:
        return await self._uploads.has(_named(repository), _digest(digest))

    def blob(self, repository: str, digest: str, *, size: int) -> AsyncGenerator[bytes, None]:
        """Goes on where a connection broke. Ends with an error where the bytes were others."""
        url = self._transport.at(f"/v2/{_named(repository)}/blobs/{_digest(digest)}")
        return Download(
            self._transport, url, scope=pulling(repository), digest=digest, size=size
        ).chunks()

    async def mount(self, repository: str, digest: str, *, source: str) -> bool:
        """Whether the blob is in ``repository`` now because ``source`` has it."""
        path = f"/v2/{_named(repository)}/blobs/uploads/"
        url = self._transport.at(f"{path}?mount={_digest(digest)}&from={_named(source)}")
        scope = f"{pushing(repository)} {pulling(source)}"
        answer = await self._transport.ask("POST", url, scope=scope)
        if answer.status == _CREATED:
            return True
        if answer.status == _ACCEPTED:
            await self._uploads.cancel(answer, pushing(repository))
        elif answer.status not in _NOT_MOUNTED:
            raise self._refused(answer)
        return False

    async def push(self, repository: str, make: Callable[[], AsyncIterable[bytes]]) -> Pushed:
        """Sent while it is made, and made again where it could not be sent."""
        return await self._uploads.stream(_named(repository), make)

    async def push_bytes(self, repository: str, body: bytes) -> Pushed:
        """Nothing is sent of what is there."""
        return await self._uploads.whole(_named(repository), body)

    async def put_manifest(  # noqa: PLR0917 - as the path has them
        self, repository: str, reference: str, body: bytes, media_type: str
    ) -> str:
        """Its digest. What refers to another manifest is found by it afterwards, wherever."""
        algorithm = reference.partition(":")[0] if is_digest(reference) else "sha256"
        digest = digest_of(body, algorithm)
        if is_digest(reference) and digest != reference:
            raise BuildFailedError("image-invalid", f"a manifest of {digest} is no {reference}")
        answer = await self._transport.ask(
            "PUT",
            self._manifest(repository, reference),
            scope=pushing(repository),
            data=body,
            headers={"Content-Type": media_type},
            silence=self._transport.patience.finishing,
        )
        self._require(answer, _CREATED)
        said = answer.headers.get("Docker-Content-Digest", digest)
        if said.startswith(f"{algorithm}:") and said != digest:
            raise BuildFailedError(
                "registry-refused", f"{self._transport.name} kept {said[:100]} for {digest}"
            )
        subject = subject_of(body)
        if subject is not None and "OCI-Subject" not in answer.headers:
            await self._referrers.note(repository, subject, as_referrer(body, media_type))
        return digest

    async def remove(self, repository: str, reference: str) -> None:
        """A manifest, with all its tags; nothing where it is not there any more."""
        found = await self.find(repository, reference)
        if found is None:
            return
        url = self._manifest(repository, found.digest)
        answer = await self._transport.ask("DELETE", url, scope=f"repository:{repository}:delete")
        if answer.status != _ABSENT:
            self._require(answer, _ACCEPTED)

    async def referrers(self, repository: str, digest: str) -> list[Descriptor]:
        """All that refer to a manifest, also where the registry knows nothing of referrers."""
        return await self._referrers.of(_named(repository), _digest(digest))

    def door(self, repository: str) -> Door:
        """To this repository alone, for programs that are not to know who we are."""
        return Door(self._transport, _named(repository))

    async def _content(self, repository: str, reference: str) -> bytes | None:
        if await self.find(repository, reference) is None:
            return None
        return (await self.manifest(repository, reference))[1]

    def _manifest(self, repository: str, reference: str) -> URL:
        if not is_tag(reference):
            _digest(reference)
        return self._transport.at(f"/v2/{_named(repository)}/manifests/{reference}")

    def _require(self, answer: Answer, status: int) -> None:
        if answer.status != status:
            raise self._refused(answer)

    def _refused(self, answer: Answer) -> Exception:
        return refusal(self._transport.name, answer)


def pulling(repository: str) -> str:
    return f"repository:{_named(repository)}:pull"


def pushing(repository: str) -> str:
    return f"repository:{_named(repository)}:pull,push"


def _named(repository: str) -> str:
    if not is_repository(repository):
        raise ReferenceInvalidError(f"{repository[:200]!r} is no name of a repository")
    return repository


def _digest(digest: str) -> str:
    if not is_digest(digest):
        raise ReferenceInvalidError(f"{digest[:200]!r} is no digest")
    return digest
