"""What an isolated process sees of this machine: the system, its own, and nothing else."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOME: Final = Path("/run/home")
"""Where a program finds its home that sees another root."""
_PROCESSORS: Final = Path("/sys/devices/system")
_MADE: Final = frozenset(Path("/", each) for each in ("dev", "proc", "run", "sys", "tmp"))
"""Of a root of somebody else's nothing is taken there."""
_GIVEN: Final = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
SYSTEM: Final = tuple(
    Path(each)
    for each in (
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"),
        str(_PROCESSORS),  # numbers of processors, which numeric libraries ask for
    )
)
DEVICES: Final = ("/dev/nvidia*", "/dev/kfd", "/dev/dri")
"""Of accelerators; what every process needs beside them, each way of isolation knows."""
_NAMES_FILES: Final = (
    *("LD_LIBRARY_PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
)
_RESOLVER: Final = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Sight:
    """Paths are the same inside as outside. Of them ``home`` and ``writable`` can be written.

    Nothing is mounted on or made in what an earlier life of the program may have changed: it
    could have left a link there.
    """

    home: Path
    readable: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]
    devices: tuple[Path, ...]
    writable: tuple[Path, ...] = ()
    start_in: Path | None = None
    """Where the program begins; without it, in its home."""
    rest: tuple[tuple[Path, Path], ...] = ()
    """What is to be read elsewhere than where it is."""
    home_at: Path | None = None

    @property
    def mounts(self) -> tuple[tuple[Path, Path, bool], ...]:
        """Source, path and whether it is writable; in an order in which none hides another."""
        return (
            *((each.resolve(), each, False) for each in self.readable),
            *((source, path, False) for source, path in self.rest),
            (self.home.resolve(), self.home_at or self.home, True),
            *((each.resolve(), each, True) for each in self.writable),
        )


def sight(
    home: Path,
    own: Sequence[Path],
    *,
    private: Sequence[Path],
    given: Mapping[str, str],
    writable: Sequence[Path] = (),
) -> Sight:
    """``own`` are the paths to read; none that is shown may hold a ``private`` one.

    ``given`` is our own environment: a library or certificate that it names is shown, not what
    the program's names.
    """
    links = tuple((each, str(each.readlink())) for each in SYSTEM if each.is_symlink())
    system = [each for each in SYSTEM if each.exists() and not each.is_symlink()]
    named = [
        Path(each)
        for name in _NAMES_FILES
        for each in given.get(name, "").split(os.pathsep)
        if each.startswith("/") and Path(each).exists()
    ]
    shown = _without_nested([*system, *own, *_resolver(), *named])
    for path in shown:
        _refuse_if_it_holds(path, (*private, home, *writable))
    devices = tuple(each for name in DEVICES for each in sorted(Path("/").glob(name[1:])))
    return Sight(home, tuple(shown), links, devices, tuple(writable))


def sight_of_root(home: Path, root: Path, *, start_in: Path) -> Sight:
    """``root`` is anybody's, and takes the system's place: links of it are never followed here."""
    links, rest = [], []
    for each in sorted(root.iterdir()):
        path = Path("/", each.name)
        if path in _MADE:
            continue
        if each.is_symlink():
            links.append((path, str(each.readlink())))
        elif each.is_dir():
            rest.append((each, path))
    for given in _GIVEN:
        place = root / given.relative_to("/")
        real = not place.is_symlink() and not place.parent.is_symlink()
        if real and place.is_file() and given.exists():
            rest.append((given.resolve(), given))
    return Sight(
        home,
        (_PROCESSORS,) if _PROCESSORS.exists() else (),
        tuple(links),
        tuple(each for name in DEVICES for each in sorted(Path("/").glob(name[1:]))),
        start_in=start_in,
        rest=tuple(rest),
        home_at=HOME,
    )


def prefixes_of(program: Path) -> list[Path]:
    """What an interpreter needs: the prefix of every path that its links lead over."""
    return list(dict.fromkeys(each.parent.parent for each in _links(program)))


def trespasses(private: Sequence[Path]) -> str:
    """Which ``private`` path every process would see; nothing is best."""
    for path in private:
        for system in SYSTEM:
            if path.resolve().is_relative_to(system.resolve()):
                return f"{path} lies in {system}, which every process sees: move it elsewhere"
    return ""


def _links(path: Path) -> Iterator[Path]:
    """Every path that a chain of links leads over, and where it ends."""
    seen: set[Path] = set()
    while path.is_symlink() and path not in seen:
        seen.add(path)
        path = Path(os.path.normpath(path.parent / path.readlink()))
        yield path
    yield path.resolve()


def _resolver() -> list[Path]:
    """Often a link to below /run, which is hidden."""
    return [_RESOLVER.resolve()] if _RESOLVER.is_symlink() and _RESOLVER.exists() else []


def _without_nested(paths: Sequence[Path]) -> list[Path]:
    """In an order in which none hides another."""
    kept: list[Path] = []
    for path in sorted(dict.fromkeys(paths)):
        if not any(path.is_relative_to(each) for each in kept):
            kept.append(path)
    return kept


def _refuse_if_it_holds(path: Path, hidden: Sequence[Path]) -> None:
    for each in hidden:
        if each.is_relative_to(path) or each.resolve().is_relative_to(path.resolve()):
            message = f"{path} would be shown to it and holds {each}, which it may not see"
            raise PermissionError(message)
