"""Installed packages, sorted into layers that bentos with the same packages have in common."""

import base64
import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from services.builder.layers.entries import Entry, file_entry, with_parents

_OWN_LAYER: Final = 4 * 2**20
"""Bytes from which a package is a layer of its own, which other locks may share."""
_MOST_LAYERS: Final = 40
"""Runtimes stop at 127, and the base image, models and others have theirs."""
_PYTHON_FOLDER: Final = re.compile(r"\bpython3\.\d+\b")


@dataclass(frozen=True, slots=True)
class PackageGroup:
    """``names`` are ``name==version``, sorted."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Installed:
    name: str
    entries: tuple[Entry, ...]
    size: int


def groups_of(prefix: Path, *, venv: str, python: str, owner: int) -> list[PackageGroup]:
    """What uv installed below ``prefix``, as it is to lie in ``venv`` for Python ``3.11``.

    The largest packages are alone, in the order of their names; all others come first, together.
    """
    installed = _installed(prefix, venv.lstrip("/"), python, owner=owner)
    large = sorted((each for each in installed if each.size >= _OWN_LAYER), key=_by_size)
    alone = {each.name for each in large[: _MOST_LAYERS - 1]}
    together = [each for each in installed if each.name not in alone]
    groups = [_group(together, venv, owner)] if together else []
    return [*groups, *(_group([each], venv, owner) for each in installed if each.name in alone)]


def _by_size(each: _Installed) -> tuple[int, str]:
    return (-each.size, each.name)


def _group(installed: Sequence[_Installed], venv: str, owner: int) -> PackageGroup:
    entries = [entry for each in installed for entry in each.entries]
    return PackageGroup(
        names=tuple(each.name for each in installed),
        entries=tuple(with_parents(entries, root=venv.lstrip("/"), owner=owner)),
        size=sum(each.size for each in installed),
    )


def _installed(prefix: Path, venv: str, python: str, *, owner: int) -> list[_Installed]:
    sites = sorted(prefix.glob("lib*/python3.*/*-packages"))
    found = [
        _one(record, prefix, venv=venv, python=python, owner=owner)
        for site in sites
        for record in sorted(site.glob("*.dist-info/RECORD"))
    ]
    return sorted(found, key=lambda each: each.name)


def _one(record: Path, prefix: Path, *, venv: str, python: str, owner: int) -> _Installed:
    """Only what the package's own record names: nothing else is its."""
    site, top, home = record.parent.parent, prefix.resolve(), PurePosixPath(venv)
    entries, rows = [], []
    for name, *checked in csv.reader(io.StringIO(record.read_text())):
        source = Path(os.path.normpath(site / name))
        if source == record or name.endswith(".pyc") or not source.is_relative_to(top):
            continue
        below = _PYTHON_FOLDER.sub(f"python{python}", source.relative_to(top).as_posix())
        entry = _file(str(home / below), source, venv=venv, owner=owner)
        entries.append(entry)
        stated = _checked(entry.content) if entry.content is not None else tuple(checked)
        rows.append((_PYTHON_FOLDER.sub(f"python{python}", name), *stated))
    own = f"{record.parent.name}/RECORD"
    listed = "".join(_lines([*sorted(rows), (own, "", "")]))
    path = f"{home}/lib/python{python}/site-packages/{own}"
    entries.append(Entry(path, owner, content=listed.encode()))
    name, _, version = record.parent.name.removesuffix(".dist-info").rpartition("-")
    size = sum(each.size or len(each.content or b"") for each in entries)
    return _Installed(f"{name.lower().replace('_', '-')}=={version}", tuple(entries), size)


def _file(path: str, source: Path, *, venv: str, owner: int) -> Entry:
    """As it is; a script of the package runs by the image's interpreter, not by ours."""
    if source.parent.name != "bin" or "-packages" in source.parent.parent.name:
        return file_entry(path, source, owner=owner, status=source.stat())
    content = source.read_bytes()
    shebang, newline, rest = content.partition(b"\n")
    if shebang.startswith(b"#!") and b"python" in shebang:
        content = f"#!/{venv}/bin/python".encode() + newline + rest
    elif shebang == b"#!/bin/sh" and rest.startswith(b"'''exec' "):
        # What is written where the interpreter's path is too long for a first line.
        content = f"#!/{venv}/bin/python\n".encode() + rest.partition(b"\n' '''\n")[2]
    return Entry(path, owner, content=content, executable=True)


def _checked(content: bytes) -> tuple[str, str]:
    text = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={text}", str(len(content))


def _lines(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    yield out.getvalue()
