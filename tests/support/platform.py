"""A whole platform in a temporary home, started and stopped through the `yokocho` command."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from cli.ports import free_pair

_COMMAND_SECONDS: Final = 120


class CommandFailedError(AssertionError):
    """The command's exit status and all that it said."""


@dataclass(slots=True)
class LocalPlatform:
    """One home. ``env`` are variables added to every command."""

    home: Path
    port: int = field(default_factory=free_pair)
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoints_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    def yokocho(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run one command of the CLI against this home."""
        done = subprocess.run(  # our own argv, no shell
            [sys.executable, "-m", "cli", *words, "--home", str(self.home)],
            env=os.environ | dict(self.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailedError(
                f"yokocho {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    @contextmanager
    def following(self, *words: str) -> Iterator["queue.Queue[str]"]:
        """The lines of a command that does not end by itself, as they come."""
        lines: queue.Queue[str] = queue.Queue()
        with subprocess.Popen(  # our own argv, no shell
            [sys.executable, "-m", "cli", *words, "--home", str(self.home)],
            env=os.environ | dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            reader = threading.Thread(target=_read_into, args=(process.stdout, lines))
            reader.start()
            try:
                yield lines
            finally:
                process.terminate()
                reader.join()

    def up(self) -> None:
        self.yokocho("up", "--detach", "--port", str(self.port))

    def down(self) -> None:
        self.yokocho("down")

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.yokocho("status", "--json").stdout)
        return told

    def pid(self, name: str) -> int:
        """The process that ``status`` names: a service, ``postgres``, ``nats``, …"""
        deadline = time.monotonic() + 60
        while True:  # it may be between two lives
            pid = self.status()["services"][name]["pid"]
            if pid is not None or time.monotonic() > deadline:
                return int(pid)
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def request(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON (or text) of an API call; HTTP errors are answers, not exceptions."""
        request = urllib.request.Request(  # loopback
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "X-YATAI-API-TOKEN": self.token if token is None else token,
                "Content-Type": "application/json",
            },
        )
        return _answer(request)

    def predict(
        self, deployment: str, route: str, body: object, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        request = urllib.request.Request(  # loopback
            f"{self.endpoints_url}/default/{deployment}/{route}",
            method="POST",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        return _answer(request)

    def events(self, **query: str) -> list[dict[str, Any]]:
        """Every event in the log, oldest first."""
        found: list[dict[str, Any]] = []
        after = 0
        filters = "".join(f"&{name}={value}" for name, value in query.items())
        while True:
            status, page = self.request("GET", f"/api/events?limit=500&after={after}{filters}")
            assert status == 200, page
            if not page["events"]:
                return found
            found += [entry["event"] for entry in page["events"]]
            after = page["next"]

    def wait_for_status(self, name: str, wanted: str, *, seconds: float = 90) -> dict[str, Any]:
        """Poll the deployment until it has the status; another final one fails at once."""
        deadline = time.monotonic() + seconds
        seen: Any = None
        while time.monotonic() < deadline:
            status, seen = self.request("GET", f"/api/v2/deployments/{name}?cluster=default")
            if status == 200 and seen["status"] == wanted:
                return dict(seen)
            if status == 200 and seen["status"] in {"failed", "image-build-failed"}:
                break
            time.sleep(0.1)
        told = self.yokocho("deployments", check=False).stdout
        raise AssertionError(f"{name} is not {wanted}: {seen}\n{told}")


def _read_into(stream: "IO[str]", lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)


def _answer(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # loopback
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _parsed(error.read())


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


@contextmanager
def running(home: Path, **options: Any) -> Iterator[LocalPlatform]:
    """A platform that is up, and certainly down afterwards."""
    platform = LocalPlatform(home, **options)
    try:
        platform.up()
        yield platform
    finally:
        platform.down()
