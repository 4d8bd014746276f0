"""doctor: whether this machine can run the platform, and the cure where it cannot."""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Final, NamedTuple

import typer

from cli.errors import CommandError
from cli.home import Home
from cli.options import HomeOption, JsonOption, home_at, show, table

_NEEDED_BYTES: Final = 2 * 2**30


class Finding(NamedTuple):
    """One check. An empty ``cure`` means that all is well."""

    check: str
    found: str
    cure: str = ""


def doctor(
    *,
    home: HomeOption = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65534, envvar="YOKOCHO_PORT", help="Port to look at")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at ports, disk, Python, PostgreSQL's programs, leftovers, isolation; say each cure."""
    at = home_at(home)
    checks = (_machine(at), _ports(at, port), _leftovers(at), _isolation(at), _limits())
    findings = list(chain.from_iterable(checks))
    show(
        [each._asdict() for each in findings],
        as_json=as_json,
        human=lambda: table([("CHECK", "FOUND", "CURE"), *(tuple(each) for each in findings)]),
    )
    if any(each.cure for each in findings):
        raise typer.Exit(1)


def _machine(home: Home) -> Iterator[Finding]:
    from cli.embedded.postgres.binaries import find_binaries

    major = home.identity().postgres_major if home.exists() else None
    yield Finding("python", sys.version.split()[0])
    try:
        found = find_binaries(major=major)
        yield Finding("postgres", f"{found.major} in {found.folder}")
    except CommandError as error:
        yield Finding("postgres", error.trouble, error.cure or "install PostgreSQL's programs")
    folder = next(each for each in (home.root, *home.root.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    cure = "" if free > _NEEDED_BYTES else f"make room on the disk of {folder}"
    yield Finding("disk", f"{free // 2**20} MiB free for {home.root}", cure)


def _isolation(home: Home) -> Iterator[Finding]:
    """Tried anew: what runs may have been started before the machine changed."""
    for what, service in (("isolation", "DEPLOYER"), ("isolation of builds", "BUILDER")):
        wanted = os.environ.get(f"YOKOCHO_{service}_ISOLATION")
        yield _isolated(home, what, wanted)


def _isolated(home: Home, what: str, wanted: str | None) -> Finding:
    from libs.chassis.isolation import AUTO, CURE, NAMESPACE, NotPossibleError, choose

    try:
        own_root = wanted == "image"
        chosen = NAMESPACE if own_root else wanted or AUTO
        found = choose(chosen, [home.root], any_root=own_root)
    except NotPossibleError as error:
        return Finding(what, f"{NAMESPACE} is demanded: {error.why}", CURE)
    return Finding(what, found.by or f"none: {found.why}")


def _limits() -> Iterator[Finding]:
    """Tried anew, too. Bentos run without; they only may take more than they ask for."""
    from libs.chassis.cgroups import Groups, in_words

    yield Finding("resources", in_words(Groups(f"yokocho-doctor-{os.getpid()}-").refusals()))


def _ports(home: Home, port: int | None) -> Iterator[Finding]:
    from cli.home import Identity
    from cli.launch import current_status
    from cli.ports import holder, is_free

    first = port or (home.identity() if home.exists() else Identity("")).port
    running = home.exists() and current_status(home)["state"] == "running"
    for each in (first, first + 1):
        if running:
            yield Finding(f"port {each}", "this platform's")
        elif is_free(each):
            yield Finding(f"port {each}", "free")
        else:
            who = holder(each) or "another program"
            yield Finding(f"port {each}", f"taken by {who}", "stop it, or say --port")


def _leftovers(home: Home) -> Iterator[Finding]:
    from cli.launch import current_status
    from libs.chassis.process import leftovers

    if not home.exists() or current_status(home)["state"] == "running":
        return
    found = leftovers(home.marker())
    cure = "`yokocho down` ends them" if found else ""
    yield Finding("leftovers", f"{len(found)} processes", cure)
