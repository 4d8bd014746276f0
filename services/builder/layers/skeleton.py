"""The layer between a base image and packages: the user, its home, and an environment to fill."""

from pathlib import PurePosixPath
from typing import Final

from services.builder.domain import BaseImage, BasePython
from services.builder.layers.entries import Entry, with_parents

_ACTIVATE: Final = """\
# Made for scripts that source it: the image's own variables say the same.
deactivate() { :; }
VIRTUAL_ENV={venv}
export VIRTUAL_ENV
PATH="$VIRTUAL_ENV/bin:$PATH"
export PATH
hash -r 2>/dev/null || true
"""


def skeleton(
    base: BaseImage, python: BasePython, *, user: str, uid: int, home: str, venv: str
) -> list[Entry]:
    """Nothing in it is of a bento, so that all bentos on the same base image share it."""
    minor = python.minor
    root = venv.lstrip("/")
    links = {"python": python.path, "python3": "python", f"python{minor}": "python"}
    config = f"home = {PurePosixPath(python.path).parent}\ninclude-system-site-packages = false\n"
    entries = [
        Entry("etc/passwd", content=_line(base.passwd, f"{user}:x:{uid}:{uid}::{home}:/bin/sh")),
        Entry("etc/group", content=_line(base.group, f"{user}:x:{uid}:")),
        Entry(home.lstrip("/"), uid),
        Entry(f"{home.lstrip('/')}/bento", uid),
        Entry(root.partition("/")[0]),
        Entry(root, uid),
        Entry(f"{root}/pyvenv.cfg", uid, content=f"{config}version = {python.version}\n".encode()),
        Entry(f"{root}/bin/activate", uid, content=_ACTIVATE.replace("{venv}", venv).encode()),
        Entry(f"{root}/lib/python{minor}/site-packages", uid),
        Entry(f"{root}/lib64", uid, target="lib"),
        *(Entry(f"{root}/bin/{name}", uid, target=to) for name, to in links.items()),
    ]
    return with_parents(entries, root=root, owner=uid)


def _line(text: str, line: str) -> bytes:
    """Instead of what the image says of a user of that name."""
    name = f"{line.partition(':')[0]}:"
    kept = [each for each in text.splitlines() if each and not each.startswith(name)]
    return "".join(f"{each}\n" for each in (*kept, line)).encode()
