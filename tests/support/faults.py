"""What fault tests share: the main job, a kill in its middle, and what must be true after."""

import collections
import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Final

import psutil

from tests.support.driver import BentoFiles, Driver
from tests.support.platform import LocalPlatform

PROCESSES: Final = ("registry", "builder", "deployer", "gateway", "events", "nats", "postgres")
SEED: Final = int(os.environ.get("FAULT_SEED", "7"))


def job(platform: LocalPlatform, files: BentoFiles, name: str) -> Driver:
    """Push a new version, deploy it, wait, predict, delete."""
    driver = Driver(platform, platform.token)
    driver.push(files, "echo", name)
    driver.deploy(f"echo:{name}", name)
    driver.wait(name, "running")
    answer = predict(platform, name)
    assert answer == (200, "v1: hello"), answer
    return driver


def predict(platform: LocalPlatform, name: str) -> tuple[int, Any]:
    """A prediction; a caller's connection that died with the gateway is made again."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            answer = platform.predict(name, "say", {"text": "hello"})
            if answer[0] == 200 or time.monotonic() > deadline:
                return answer
        time.sleep(0.1)


def kill_within(platform: LocalPlatform, process: str, *, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (platform.pid(process), signal.SIGKILL))
    timer.start()
    return timer


def check_log(platform: LocalPlatform, name: str) -> None:
    """Each fact of the job is in the log once and the chain is whole."""
    deadline = time.monotonic() + 30
    while True:
        events = whole_log(platform)
        said = collections.Counter(
            event["type"].split(".", 2)[2]
            for event in events
            if name in {event["data"].get("version"), event["data"].get("deployment")}
        )
        if said["deployment.routed.v1"] or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    assert said["bento.pushed.v1"] == 1, said
    assert said["deployment.requested.v1"] == 1, said
    assert said["deployment.ready.v1"] >= 1, said
    assert patiently(platform, "/api/events/verify")["intact"] is True


def whole_log(platform: LocalPlatform) -> list[dict[str, Any]]:
    """Every event; a service that was just killed is asked again."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = patiently(platform, f"/api/events?limit=500&after={after}")
        if not page["events"]:
            return found
        found += [entry["event"] for entry in page["events"]]
        after = page["next"]


def patiently(platform: LocalPlatform, path: str) -> Any:
    """The answer, past the 503s of a service that was just killed. Any other refusal is a fault."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError, HTTPException):  # the gateway itself was killed
            status, answer = platform.request("GET", path)
            if status == 200:
                return answer
            assert status == 503, answer
            assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """A zombie has ended: nobody on this machine may be there to collect it."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def assert_nothing_left(platform: LocalPlatform) -> None:
    """After `down`: no process that ever heard of the home, and none of its ports taken."""
    home = str(platform.home)
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            known = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if is_alive(process.pid) and any(home in each for each in known):
                left.append(f"{process.pid} {process.cmdline()}")
    assert left == []
    ports = json.loads((platform.home / "home.json").read_text())["ports"].values()
    for port in (platform.port, platform.port + 1, *ports):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still taken"
