"""What uploads of blobs must come to: a pure model of an organisation's image repositories.

Its methods are the steps a client may take; each answers with the status the registry must give.
"""

from dataclasses import dataclass
from typing import Final, Literal

Where = Literal["anywhere", "next", "again", "ahead"]
"""What a piece says of its place: nothing, or where it begins."""
Named = Literal["sha256", "sha512", "another"]
"""By what a blob is named: a digest of its bytes, or of others."""
AHEAD: Final = 3


def first_byte(where: Where, offset: int) -> int | None:
    return {"anywhere": None, "next": offset, "again": max(offset - 1, 0), "ahead": offset + AHEAD}[
        where
    ]


@dataclass(eq=False, slots=True)
class Sent:
    """An upload under way or over."""

    repository: str
    content: bytes = b""
    is_over: bool = False


class Images:
    """Which repository has which blobs, and what is being sent."""

    def __init__(self) -> None:
        self.blobs: set[tuple[str, bytes]] = set()
        self.seen: set[bytes] = set()
        """Everything that was ever sent whole, kept or not."""
        self.uploads: list[Sent] = []

    @property
    def stored(self) -> int:
        """A blob counts once, in however many repositories it is."""
        return sum(len(content) for content in {content for _, content in self.blobs})

    def begin(self, repository: str) -> int:
        self.uploads.append(Sent(repository))
        return 202

    def push(self, repository: str, content: bytes, named: Named) -> int:
        return self._end(Sent(repository, content), named)

    def append(self, back: int, piece: bytes, where: Where) -> int:
        upload = self._open(back)
        if upload is None:
            return 404
        if first_byte(where, len(upload.content)) not in {None, len(upload.content)}:
            return 416
        upload.content += piece
        return 202

    def append_less_than_announced(self, back: int, _piece: bytes) -> int:
        """The request alone says that it is wrong: nobody looks for its upload."""
        return 400 if back < len(self.uploads) else 404

    def break_off(self, back: int, _piece: bytes) -> int:
        """All of a piece or nothing of it."""
        return 404 if self._open(back) is None else 0

    def finish(self, back: int, piece: bytes, where: Where, named: Named) -> int:
        status = self.append(back, piece, where)
        upload = self._open(back)
        return status if upload is None or status != 202 else self._end(upload, named)

    def cancel(self, back: int) -> int:
        upload = self._open(back)
        if upload is None:
            return 404
        upload.is_over = True
        return 204

    def mount(self, repository: str, content: bytes, source: str | None) -> int:
        """Where nobody of the organisation has it, the client is to send it."""
        self.seen.add(content)
        having = {name for name, each in self.blobs if each == content}
        if not having & ({source} if source else having):
            return self.begin(repository)
        self.blobs.add((repository, content))
        return 201

    def remove(self, repository: str, content: bytes) -> int:
        if (repository, content) not in self.blobs:
            return 404
        self.blobs.remove((repository, content))
        return 202

    def collect(self) -> int:
        return 200

    def push_elsewhere(self, content: bytes) -> int:
        """By another organisation: nobody here may notice."""
        self.seen.add(content)
        return 201

    def _end(self, upload: Sent, named: Named) -> int:
        upload.is_over = True
        self.seen.add(upload.content)
        if named == "another":
            return 400
        self.blobs.add((upload.repository, upload.content))
        return 201

    def _open(self, back: int) -> Sent | None:
        found = self.uploads[-1 - back] if back < len(self.uploads) else None
        return found if found and not found.is_over else None
