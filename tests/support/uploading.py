"""What uploads must come to: a pure model of a registry's versions, bytes and counts.

Its methods are the steps a client may take; each answers with the status the registry must give.
"""

from dataclasses import dataclass, field
from typing import Final

from tests.support.registry import archive

Content = tuple[tuple[int, str], ...]
"""Thirds of archives: the number of each, and which archive's it is."""
ANNOUNCED: Final = 7_777
ANOTHERS: Final = "another version's"
LARGE: Final = "large"
_FILLED: Final = {
    "a": b"a" * 6_000,
    "b": b"b" * 6_000,
    ANOTHERS: b"c" * 6_000,
    LARGE: b"d" * 12_000,
}


def whole(kind: str) -> Content:
    return tuple((number, kind) for number in (1, 2, 3))


TRUNCATED: Final = whole("a")[:2]
NOISE: Final = whole("a")[1:]


def bytes_of(version: str, content: Content) -> bytes:
    return b"".join(_third(version, *each) for each in content)


def is_archive(content: Content) -> bool:
    """Of the version: the first third says so, and all of them are there, however mixed."""
    return [number for number, _ in content] == [1, 2, 3] and content[0][1] != ANOTHERS


def _third(version: str, number: int, kind: str) -> bytes:
    said = "v0" if kind == ANOTHERS else version
    sent = archive(said, name="model.yaml", payload=_FILLED[kind])
    at = len(sent) // 3
    return (sent[:at], sent[at : 2 * at], sent[2 * at :])[number - 1]


@dataclass(eq=False, slots=True)
class Held:
    """A version. ``content`` is what it was last pushed with, readable or not."""

    name: str
    status: str = "pending"
    reserved: int = 0
    content: Content = ()

    @property
    def stored(self) -> bytes:
        return bytes_of(self.name, self.content)

    def fail(self) -> None:
        self.status, self.reserved = "failed", 0

    def receive(self, content: Content) -> int:
        if not is_archive(content):
            self.fail()
            return 422
        self.status, self.reserved, self.content = "success", 0, content
        return 200


@dataclass(eq=False, slots=True)
class Sending:
    """An upload by signed URL. ``named``: what the client says has come."""

    version: Held
    in_parts: bool
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)
    named: list[tuple[int, tuple[int, str] | None]] = field(default_factory=list)
    is_over: bool = False

    def joined(self) -> Content:
        """Nothing where any part is not what was named."""
        if any(piece is None or self.parts.get(at) != piece for at, piece in self.named):
            return ()
        return tuple(piece for _, piece in self.named if piece is not None)


class Model:
    """An organisation's versions, live and in the trash, and the uploads that were begun."""

    def __init__(self) -> None:
        self.live: dict[str, Held] = {}
        self.trash: list[Held] = []
        self.sendings: list[Sending] = []

    @property
    def usage(self) -> tuple[int, int]:
        held = [*self.live.values(), *self.trash]
        return sum(each.reserved for each in held), sum(len(each.stored) for each in held)

    def create(self, version: str) -> int:
        if version in self.live:
            return 409
        self.live[version] = Held(version)
        return 200

    def start(self, version: str) -> int:
        if (held := self.live.get(version)) is None:
            return 404
        held.status, held.reserved = "uploading", ANNOUNCED
        return 200

    def put(self, version: str, content: Content) -> int:
        held = self.live.get(version)
        return held.receive(content) if held else 404

    def break_off(self, version: str) -> int:
        if (held := self.live.get(version)) is None:
            return 404
        held.fail()
        return 0

    def presign(self, version: str) -> int:
        return self._begin(version, in_parts=False)

    def begin_parts(self, version: str) -> int:
        return self._begin(version, in_parts=True)

    def send_whole(self, back: int, content: Content) -> int:
        """To the URL that was signed ``back`` ones before the last."""
        found = self.sending(back, in_parts=False)
        if found is None or not self._is_open(found):
            return 404
        status = found.version.receive(content)
        if status == 200:
            self._forget(found.version)
        return status

    def send_part(self, back: int, number: int, kind: str) -> int:
        found = self.sending(back, in_parts=True)
        if found is None or not self._is_open(found):
            return 404
        found.parts[number] = (number, kind)
        return 200

    def name_parts(self, back: int, how: str) -> int:
        found = self.sending(back, in_parts=True)
        if found is None or not self._is_open(found):
            return 404
        right = sorted(found.parts.items())
        named: dict[str, list[tuple[int, tuple[int, str] | None]]] = {
            "right": [*right],
            "without the last": [*right[:-1]],
            "another ETag": [(number, None) for number, _ in right],
            "one that never came": [*right, (9, None)],
        }
        found.named = named[how]
        return 200

    def finish(self, version: str, how: str) -> int:
        if (held := self.live.get(version)) is None:
            return 404
        if how == "failed":
            self._forget(held)
            if held.status != "success":
                held.fail()
            return 200
        if held.status == "success":
            return 200
        begun = [each for each in self.sendings if each.version is held and not each.is_over]
        if not begun:
            return 409
        begun[-1].is_over = True
        return held.receive(begun[-1].joined())

    def delete(self, version: str) -> int:
        if (held := self.live.pop(version, None)) is None:
            return 404
        if held.status == "uploading":
            held.fail()
        self.trash.append(held)
        return 200

    def undelete(self, version: str) -> int:
        found = [each for each in self.trash if each.name == version]
        if not found:
            return 404
        if version in self.live:
            return 409
        self.trash.remove(found[-1])
        self.live[version] = found[-1]
        return 200

    def empty_trash(self) -> int:
        for each in self.trash:
            self._forget(each)
        self.trash.clear()
        return 200

    def push_elsewhere(self, _version: str) -> int:
        """The same bytes, by another organisation."""
        return 200

    def sending(self, back: int, *, in_parts: bool) -> Sending | None:
        found = [each for each in self.sendings if each.in_parts is in_parts]
        return found[-1 - back] if back < len(found) else None

    def _begin(self, version: str, *, in_parts: bool) -> int:
        if (held := self.live.get(version)) is None:
            return 404
        self.sendings.append(Sending(held, in_parts=in_parts))
        return 200

    def _is_open(self, sending: Sending) -> bool:
        return not sending.is_over and self.live.get(sending.version.name) is sending.version

    def _forget(self, version: Held) -> None:
        for each in self.sendings:
            each.is_over |= each.version is version
