"""What refers to a manifest: asked of the registry, or of a tag where it does not know."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Final

from yarl import URL

from libs.contracts.mediatypes import INDEXES, OCI_INDEX
from services.builder.errors import BuildFailedError
from services.builder.oci.descriptor import Descriptor
from services.builder.oci.manifests import LIMIT, listed
from services.builder.oci.refusals import Answer, refusal
from services.builder.oci.transport import Transport

_OK: Final = 200
_UNKNOWN: Final = frozenset({400, 404, 405, 406, 501})
_MOST_PAGES: Final = 100
_NEXT: Final = re.compile(r"<([^<>]{1,4096})>\s*;[^,]*\brel=\"?next\"?")

Read = Callable[[str, str], Awaitable[bytes | None]]
"""The manifest under a tag of a repository."""
Put = Callable[[str, str, bytes, str], Awaitable[str]]


class Referrers:
    def __init__(self, transport: Transport, *, read: Read, put: Put) -> None:
        self._transport = transport
        self._read = read
        self._put = put

    async def of(self, repository: str, digest: str) -> list[Descriptor]:
        found: list[Descriptor] = []
        url: URL | None = self._transport.at(f"/v2/{repository}/referrers/{digest}")
        scope = f"repository:{repository}:pull"
        for _ in range(_MOST_PAGES):
            if url is None:
                return found
            answer = await self._transport.ask("GET", url, scope=scope, limit=LIMIT)
            if not found and not _is_list(answer):
                return await self._tagged(repository, digest)
            found += listed(answer.body)
            url = self._after(answer)
        raise BuildFailedError("registry-refused", f"{self._transport.name} lists without end")

    async def note(self, repository: str, subject: str, one: Descriptor) -> None:
        """For a registry that keeps no list: the tag that everybody looks for has it."""
        known = await self._tagged(repository, subject)
        if one.digest in {each.digest for each in known}:
            return
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [each.to_json() for each in (*known, one)],
        }
        index = json.dumps(document, separators=(",", ":")).encode()
        await self._put(repository, _tag(subject), index, OCI_INDEX)

    async def _tagged(self, repository: str, digest: str) -> list[Descriptor]:
        index = await self._read(repository, _tag(digest))
        return [] if index is None else listed(index)

    def _after(self, answer: Answer) -> URL | None:
        following = _NEXT.search(answer.headers.get("Link", ""))
        if following is None:
            return None
        url = self._transport.location(answer.url, {"Location": following[1]})
        if url.origin() != self._transport.base.origin():
            name = self._transport.name
            raise BuildFailedError("registry-refused", f"{name} goes on with its list elsewhere")
        return url


def _is_list(answer: Answer) -> bool:
    """A registry that does not know the path may answer it with a page for people."""
    if answer.status not in _UNKNOWN | {_OK}:
        raise refusal(answer.url.authority, answer)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return answer.status == _OK and kind in INDEXES


def _tag(digest: str) -> str:
    """As the specification makes it of a digest."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm}-{encoded}"[:97]
