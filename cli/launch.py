"""Starting, stopping and observing a platform from outside its supervisor."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

import cli
from cli.errors import CommandError
from cli.home import Home, Identity, change, create, platform_version
from cli.ports import DEFAULT_PORT
from cli.supervisor.lock import HomeLock, is_supervised
from cli.supervisor.sweep import sweep
from libs.chassis import cgroups, isolation
from libs.chassis.process import Command, Process, identify, leftovers, spawn, tail

_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_SETTLED: Final = frozenset({"ready", "running", "degraded", "failed"})
_UNKNOWN: Final[dict[str, Any]] = {
    "url": None,
    "endpoints_url": None,
    "trouble": "",
    "cure": "",
    "warnings": [],
    "isolation": "",
    "build_isolation": "",
    "limits": "",
    "supervisor": None,
    "services": {},
}


@dataclass(frozen=True, slots=True)
class Started:
    """The platform's status, and whether this call is why it runs."""

    status: dict[str, Any]
    fresh: bool


def start(home: Home, *, port: int | None, host: str | None) -> Started:
    """Have it running: idempotent, unless another address is asked for than it has."""
    if is_supervised(home):
        _refuse_another_address(home.identity(), port=port, host=host)
        return Started(_settled(home, None), fresh=False)
    identity = create(home)
    change(home, port=port or identity.port or DEFAULT_PORT, host=host or identity.host)
    supervisor = _spawn(home)
    return Started(_settled(home, supervisor), fresh=True)


def wait_until_stopped(home: Home) -> None:
    """Until the platform is gone; a signal to this process is passed on as a request to stop."""

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        _signal_supervisor(home, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    while is_supervised(home):
        time.sleep(0.2)


def stop(home: Home) -> bool:
    """Everything of this home, also what a killed supervisor left; says whether anything ran."""
    marker = home.marker()
    was_running = is_supervised(home)
    with HomeLock(home) as lock:
        deadline = time.monotonic() + _STOP_SECONDS
        while not lock.take():
            late = time.monotonic() > deadline
            _signal_supervisor(home, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.1 if late else _POLL_SECONDS)
        found = asyncio.run(sweep(home, marker, deployments=True))
        return was_running or found > 0


def current_status(home: Home) -> dict[str, Any]:
    """What the supervisor last said, or what is known without one."""
    identity = home.identity()
    base = {"home": str(home.root), "version": platform_version(), "state": "down", **_UNKNOWN}
    told = _read(home)
    if is_supervised(home):
        return _with_uptimes(told or {**base, "state": "starting"})
    if told is not None and told["state"] == "failed":
        return _with_uptimes(told)
    left = leftovers(home.marker())
    if not left:
        return base
    told_of = {
        f"pid {each.identity.pid}": _leftover_view(each.identity.pid, each.argv) for each in left
    }
    return {
        **base,
        "state": "unsupervised",
        "trouble": f"{len(left)} processes run without a supervisor (port {identity.port})",
        "cure": "`yokocho up` takes over, `yokocho down` ends them",
        "services": told_of,
    }


def _spawn(home: Home) -> Process:
    source = str(Path(cli.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    command = Command(
        (sys.executable, "-m", "cli.supervisor", str(home.root)),
        {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        home.root,
        owns_descendants=False,
    )
    log = home.log("supervisor")
    return spawn(home.run, "supervisor", command, log=log, marker=home.marker())


def _settled(home: Home, supervisor: Process | None) -> dict[str, Any]:
    """Wait until the start has succeeded or failed, and raise in the second case."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        told = _read(home)
        current = told is not None and _is_alive(told["supervisor"])
        if supervisor is not None and told is not None:
            current = told["supervisor"]["pid"] == supervisor.pid
        if told is not None and current and told["state"] in _SETTLED:
            if told["state"] == "failed":
                raise CommandError(told["trouble"], told["cure"])
            return _with_uptimes(told)
        if supervisor is not None and not supervisor.alive():
            supervisor.forget()
            return _settled_by_another(home)
        time.sleep(_POLL_SECONDS)
    raise CommandError(
        f"the platform is not ready after {_START_SECONDS:.0f} s",
        f"`yokocho status`, {home.log('supervisor')}",
    )


def _settled_by_another(home: Home) -> dict[str, Any]:
    """Our supervisor ended: because another was faster, or because it failed."""
    if is_supervised(home):
        return _settled(home, None)
    told = _read(home)
    if told is not None and told["state"] == "failed":
        raise CommandError(told["trouble"], told["cure"])
    raise CommandError(
        f"the supervisor ended:\n{tail(home.log('supervisor'), 15)}",
        f"see {home.log('supervisor')}",
    )


def _refuse_another_address(identity: Identity, *, port: int | None, host: str | None) -> None:
    if port not in (None, identity.port) or host not in (None, identity.host):
        raise CommandError(
            f"this home's platform runs already, on {identity.host} port {identity.port}",
            "`yokocho down` first, or another `--home` for a second platform",
        )


def _read(home: Home) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(home.status_file.read_bytes())
    except (OSError, ValueError):
        return None
    return {
        **told,
        "isolation": isolation.told(home.root / "deployer"),
        "build_isolation": isolation.told(home.root / "builder"),
        "limits": cgroups.told(home.root / "deployer"),
    }


def _is_alive(supervisor: dict[str, Any]) -> bool:
    seen = identify(int(supervisor["pid"]))
    return seen is not None and seen.started == supervisor["started"]


def _signal_supervisor(home: Home, number: signal.Signals) -> None:
    """Only if the file speaks of the process that has this pid now."""
    told = _read(home)
    if told is not None and _is_alive(told["supervisor"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(told["supervisor"]["pid"], number)


def _with_uptimes(told: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    lasting = now - datetime.fromisoformat(told["since"]) if "since" in told else timedelta()
    for each in told["services"].values():
        since = now - datetime.fromisoformat(each["since"])
        running = each["state"] == "running"
        each["uptime_seconds"] = round(since.total_seconds(), 1) if running else None
    return {**told, "uptime_seconds": round(lasting.total_seconds(), 1)}


def _leftover_view(pid: int, argv: tuple[str, ...]) -> dict[str, Any]:
    return {
        "pid": pid,
        "state": "leftover",
        "restarts": 0,
        "port": None,
        "uptime_seconds": None,
        "last_exit": " ".join(argv)[:60],
    }
