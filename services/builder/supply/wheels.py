"""What an installed distribution says of itself: ``*.dist-info/METADATA``."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import Message
from typing import Final

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from services.builder.errors import SupplyError

LIMIT: Final = 4 * 1024 * 1024
"""A README that is part of METADATA may have pictures in it."""

SUMMARY: Final = 300
_WORDS: Final = 200
_REQUIREMENTS: Final = 2000
_REQUIREMENT: Final = 2000
_CLASSIFIER: Final = "License :: "
_HOMES: Final = ("homepage", "home", "home-page", "source", "source-code", "repository", "github")


@dataclass(frozen=True, slots=True)
class Wheel:
    """Of what others wrote, only what is short and on one line."""

    name: str
    version: str
    summary: str | None = None
    home: str | None = None
    license_expression: str | None = None
    licenses: tuple[str, ...] = ()
    """Of old metadata: names as the author chose them, or as its classifiers have them."""
    requires: tuple[Requirement, ...] = ()


def wheel_of(metadata: bytes) -> Wheel:
    if len(metadata) > LIMIT:
        raise SupplyError(f"a METADATA has {len(metadata)} bytes, and {LIMIT} are the most")
    text = metadata.decode(errors="replace").replace("\r\n", "\n")
    head = message_from_string(text.partition("\n\n")[0], policy=policy.compat32)
    name, version = _line(head, "Name"), _line(head, "Version")
    if name is None or version is None:
        raise SupplyError("a METADATA has no name or no version")
    return Wheel(
        name=canonicalize_name(name),
        version=version,
        summary=_line(head, "Summary", SUMMARY),
        home=_home(head),
        license_expression=_line(head, "License-Expression"),
        licenses=tuple(_licenses(head)),
        requires=tuple(_requires(head)),
    )


def edges_of(
    wheels: Mapping[str, Wheel], environment: Mapping[str, str], asked: Iterable[Requirement] = ()
) -> dict[str, set[str]]:
    """Who needs whom, among what is installed. Extras count where somebody asked for them."""
    extras: dict[str, set[str]] = {name: {""} for name in wheels}
    for each in asked:
        extras.get(canonicalize_name(each.name), set()).update(each.extras)
    edges: dict[str, set[str]] = {name: set() for name in wheels}
    waiting = sorted(wheels)
    while waiting:  # an extra that is asked for may ask for others
        name = waiting.pop()
        for each in wheels[name].requires:
            needed = canonicalize_name(each.name)
            if needed not in wheels or not _applies(each, environment, extras[name]):
                continue
            edges[name].add(needed)
            if not each.extras <= extras[needed]:
                extras[needed] |= each.extras
                waiting.append(needed)
    return {name: needed - {name} for name, needed in edges.items()}


def _applies(each: Requirement, environment: Mapping[str, str], extras: set[str]) -> bool:
    if each.marker is None:
        return True
    try:
        return any(each.marker.evaluate({**environment, "extra": one}) for one in sorted(extras))
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, RecursionError):
        return True  # it asks what cannot be answered; the package is there all the same


def _line(head: Message, name: str, most: int = _WORDS) -> str | None:
    """The value without what could break a line or a terminal."""
    words = _plain(str(head.get(name) or ""))[:most]
    return words if words and words.upper() != "UNKNOWN" else None


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _home(head: Message) -> str | None:
    named: dict[str, str] = {}
    for each in head.get_all("Project-URL", ())[:50]:
        label, _, url = str(each).partition(",")
        named.setdefault("-".join(label.lower().split()), url.strip())
    found = [_line(head, "Home-page"), *(named.get(label) for label in _HOMES)]
    return next((each for each in found if each and _is_web(each)), None)


def _is_web(url: str) -> bool:
    plain = url.isascii() and url.isprintable() and not any(c in url for c in ' <>"{}|\\^`[]')
    return plain and url.startswith(("https://", "http://")) and len(url) < _WORDS


def _licenses(head: Message) -> Iterator[str]:
    """``License`` is a name or a whole text: only a name is of use here."""
    value = str(head.get("License") or "").strip()
    name = _line(head, "License")
    if name and "\n" not in value and len(value) < _WORDS:
        yield name
        return
    for each in sorted({_plain(str(each)) for each in head.get_all("Classifier", ())}):
        if each.startswith(_CLASSIFIER):
            yield each.rpartition(" :: ")[2][:_WORDS]


def _requires(head: Message) -> Iterator[Requirement]:
    for each in head.get_all("Requires-Dist", ())[:_REQUIREMENTS]:
        with suppress(InvalidRequirement, RecursionError):  # such names nobody
            yield Requirement(str(each)[:_REQUIREMENT])
