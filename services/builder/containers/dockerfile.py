"""A bento's own Dockerfile with another base image, and nothing else changed. Pure.

What is put in is checked against patterns that allow no line break and no space; lines of the
bento stay as their author's client wrote them.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.builder import plan
from services.builder.errors import BuildFailedError

_UNTIL_1_3: Final = (
    "set -eux && apt-get update -y && apt-get install -q -y --no-install-recommends "
    "--allow-remove-essential ca-certificates gnupg2 bash build-essential"
)
DEFAULT_COMMANDS: Final = (
    *sorted(plan.DEFAULT_COMMANDS),
    _UNTIL_1_3,
)
"""What clients put into each Dockerfile, whatever the bento's author asked for."""

_FROM: Final = re.compile(
    r"FROM\s+(?P<flags>(?:--\S+\s+)*)(?P<image>\S+)(?:\s+AS\s+(?P<name>[A-Za-z0-9][\w.-]*))?\s*",
    re.IGNORECASE,
)
_COPIED: Final = re.compile(r"(?:--from=|--mount=\S*\bfrom=)\"?([^\s,\"]+)", re.IGNORECASE)
_HEREDOC: Final = re.compile(r"(?:^|\s)\d?<<-?[\"']?[A-Za-z_]")
_DIRECTIVE: Final = re.compile(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"[a-z0-9][A-Za-z0-9./:@_-]*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH: Final = re.compile(r"[A-Za-z0-9/._-]+")
_PACKAGES: Final = re.compile(r"\bapt(?:-get)?\s")
_NOTHING: Final = "scratch"
_STAGES: Final = ("COPY", "RUN", "ADD")


@dataclass(frozen=True, slots=True)
class _Instruction:
    """``text`` is its lines joined, without comments between them; ``lines`` are as written."""

    word: str
    text: str
    lines: tuple[str, ...]


def prepared(
    dockerfile: str,
    *,
    base: str | None = None,
    arguments: Mapping[str, str] | None = None,
    drop: Collection[str] = (),
) -> str:
    """``dockerfile`` on ``base``, without the commands ``drop``.

    Where others install packages, too, the lists of packages that those commands fetch are fetched.
    Each stage begins with ``arguments``, which its commands see and its image does not have.
    """
    declared = [_argument(name, value) for name, value in (arguments or {}).items()]
    known: set[str] = {_NOTHING}
    first: str | None = None
    stages = 0
    lines: list[str] = []
    instructions = list(_instructions(dockerfile))
    kept = [each for each in instructions if each.word != "RUN" or _command(each) not in drop]
    refresh = any(each.word == "RUN" and _PACKAGES.search(each.text) for each in kept)
    for each in instructions:
        if each.word == "FROM":
            found = _from(each)
            first = first or found["image"]
            lines += [_on(found, base, first=first, known=known), *declared]
            known |= {str(stages), (found["name"] or _NOTHING).lower()}
            stages += 1
        elif each not in kept:
            lines += ["RUN apt-get update"] * refresh
        else:
            if base is not None and each.word in _STAGES:
                _refuse_other_images(each, known)
            lines += each.lines
    if first is None:
        raise _refused("it has no FROM")
    return "".join(f"{line}\n" for line in lines)


def beginnings(dockerfile: str) -> Iterator[str]:
    """It, up to where arguments begin, and up to where they end.

    buildah looks for layers in a registry until it comes to an argument that it has not met.
    """
    lines: list[str] = []
    stages, before = 0, ""
    for each in _instructions(dockerfile):
        if each.word and before and (each.word == "ARG") != (before == "ARG") and before != "FROM":
            yield "".join(f"{line}\n" for line in lines)
        lines += each.lines
        stages += each.word == "FROM"
        before = each.word if each.word and stages else before


def _on(found: re.Match[str], base: str | None, *, first: str, known: Collection[str]) -> str:
    """The line of a stage. Every image that is no earlier stage has to be the known one."""
    image = found["image"]
    if base is None:
        return found[0].rstrip()
    if not _REFERENCE.fullmatch(base):
        message = f"{base!r} is no reference of an image"
        raise ValueError(message)
    if image != first and image.lower() not in known:
        raise _refused(f"it needs a second image, {image}; only {first} is known here")
    chosen = base if image == first else image
    return f"FROM {chosen}" + (f" AS {found['name']}" if found["name"] else "")


def _from(instruction: _Instruction) -> re.Match[str]:
    found = _FROM.fullmatch(instruction.text)
    if found is None:
        raise _refused(f"this line is not understood: {instruction.text}")
    return found


def _refuse_other_images(instruction: _Instruction, known: Collection[str]) -> None:
    for image in _COPIED.findall(instruction.text):
        if image.lower() not in known:
            raise _refused(f"it copies from {image}, which is none of its stages")


def _command(instruction: _Instruction) -> str:
    return " ".join(instruction.text.split()[1:])


def _argument(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or not _PATH.fullmatch(value):
        message = f"{name!r} is no name, or {value!r} no path, to be written into a Dockerfile"
        raise ValueError(message)
    return f"ARG {name}={value}"


def _instructions(dockerfile: str) -> Iterator[_Instruction]:
    lines: list[str] = []
    text = ""
    for line in dockerfile.splitlines():
        stripped = line.strip()
        if not lines and (directive := _DIRECTIVE.fullmatch(stripped)) and directive[1] != "\\":
            raise _refused(f"its escape character is {directive[1]}")
        lines.append(line)
        if stripped.startswith("#") or not stripped:
            if not text:
                yield _Instruction("", "", tuple(lines))
                lines = []
            continue
        if stripped.endswith("\\"):
            text += f"{stripped[:-1]} "
            continue
        yield _instruction(text + stripped, lines)
        text, lines = "", []
    if lines:
        yield _instruction(text.strip(), lines)


def _instruction(text: str, lines: list[str]) -> _Instruction:
    word = text.split(maxsplit=1)[0].upper() if text else ""
    if word in _STAGES and _HEREDOC.search(text):
        raise _refused(f"it has a here-document: {text[:80]}")
    return _Instruction(word, text, tuple(lines))


def _refused(reason: str) -> BuildFailedError:
    return BuildFailedError("dockerfile-refused", f"the bento's Dockerfile: {reason}")
