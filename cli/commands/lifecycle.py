"""up, down, status: the platform as a whole."""

import os
from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError
from cli.options import HomeOption, JsonOption, home_at, note, show, table

NOT_RUNNING: Final = 3


def up(
    *,
    home: HomeOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65534, envvar="YOKOCHO_PORT", help="API port; endpoints get the next one"
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(envvar="YOKOCHO_HOST", help="Address of the two public ports"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once the platform is ready")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the platform; without --detach, stay until Ctrl-C and then stop it."""
    from cli.launch import start, wait_until_stopped

    if os.geteuid() == 0:
        note("note: running as root, so builds do too, and models that cannot be isolated")
    started = start(home_at(home), port=port, host=host)
    show(
        started.status, as_json=as_json, human=lambda: _welcome(started.status, fresh=started.fresh)
    )
    if started.status["state"] == "degraded":
        raise CommandError(*_what_is_missing(started.status))
    if not detach:
        wait_until_stopped(home_at(home))


def down(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the platform and everything that it runs, whatever state it is in."""
    from cli.launch import stop

    stopped = stop(home_at(home))
    show(
        {"stopped": stopped},
        as_json=as_json,
        human=lambda: "stopped" if stopped else "was not running",
    )


def status(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What runs, where, since when. Exit status 3 when nothing does."""
    from cli.launch import current_status

    told = current_status(home_at(home))
    show(told, as_json=as_json, human=lambda: _report(told))
    if told["state"] in {"down", "unsupervised", "failed", "stopped"}:
        raise typer.Exit(NOT_RUNNING)


def _welcome(told: dict[str, Any], *, fresh: bool) -> str:
    lines = [
        f"{'the platform is' if fresh else 'the platform was already'} {told['state']}",
        f"  API        {told['url']}",
        f"  endpoints  {told['endpoints_url']}",
        f"  home       {told['home']}",
        "next: `yokocho login` writes the BentoML client's context",
    ]
    return "\n".join(lines)


def _what_is_missing(told: dict[str, Any]) -> tuple[str, str]:
    from pathlib import Path

    from libs.chassis.process import tail

    missing = {n: each for n, each in told["services"].items() if each["state"] != "running"}
    parts = [
        f"{name} is {each['state']} ({each['last_exit']}):\n{tail(Path(each['log']), 15)}"
        for name, each in missing.items()
    ]
    return "\n".join(parts), "the rest runs; `yokocho logs NAME` has more, `yokocho down` stops it"


def _report(told: dict[str, Any]) -> str:
    lines = [f"{told['state']}, version {told['version']}, home {told['home']}"]
    if told["trouble"]:
        lines.append(f"{told['trouble']}\n{told['cure']}")
    if told["url"]:
        lines.append(f"API {told['url']}, endpoints {told['endpoints_url']}")
    kept = {
        "models": told["isolation"],
        "builds from source": told["build_isolation"],
        "resources": told["limits"],
    }
    lines += [f"{what}: {how}" for what, how in kept.items() if how]
    lines += [f"warning: {each}" for each in told["warnings"]]
    rows = [("SERVICE", "STATE", "PID", "PORT", "UPTIME", "RESTARTS", "LAST EXIT")]
    for name, each in told["services"].items():
        up_for = _lasting(each["uptime_seconds"])
        cells = (each["state"], each["pid"], each["port"], up_for, each["restarts"])
        rows.append(
            (name, *("" if cell is None else str(cell) for cell in cells), each["last_exit"])
        )
    return "\n".join([*lines, table(rows)])


def _lasting(seconds: float | None) -> str:
    if seconds is None:
        return ""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
