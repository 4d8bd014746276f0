"""An image, pulled from a registry and run in its own rootfs: as a container is, without a runtime.

Layers are unpacked as the image specification says, whiteouts included; the process has mounts and
process ids of its own, and the user, the folder and the variables that the image's config names.
"""

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

import pytest

from tests.support.binaries import free_port
from tests.support.pulled import Pulled

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_START: Final = """
set -eu
mount --make-rprivate /
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
printf '127.0.0.1 localhost\\n' >"$ROOT/etc/hosts"
exec "$CHROOT" --userspec="$WHO" "$ROOT" /usr/bin/env -i "$@"
"""
_INSIDE: Final = 'cd "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Running:
    """A process of the image, which listens on ``port``."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def answers(self, route: str, body: object, *, seconds: float = 60) -> Any:
        """What it says when it is ready; an error with its log where it says nothing in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.ask(route, body)
            except (urllib.error.URLError, ConnectionError) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code != 503
                late = time.monotonic() > deadline or self.process.poll() is not None
                if refused or late:
                    said = (
                        error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""
                    )
                    raise AssertionError(f"{error} {said}\n{self.log.read_text()}") from error
                time.sleep(0.1)

    def ask(self, route: str, body: object) -> Any:
        """JSON where it is JSON, else text."""
        sent = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{route}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(sent, timeout=60) as answer:
            said = answer.read().decode()
        try:
            return json.loads(said)
        except ValueError:
            return said


def _said(error: Exception) -> str:
    return error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""


@dataclass(frozen=True, slots=True)
class Rootfs:
    """``config`` is the image's: what an OCI runtime would read."""

    folder: Path
    config: Mapping[str, Any]

    @contextmanager
    def serving(self, *, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """Its entrypoint, told a port; all that it has started is gone afterwards."""
        needs_namespaces()
        port = free_port()
        log = self.folder.with_name(f"{self.folder.name}.log")
        with log.open("wb") as out:
            process = subprocess.Popen(
                self._argv(["--port", str(port)], env or {}),
                env={"PATH": os.defpath, **self._outer()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Running(process, port, log)
            finally:
                process.send_signal(signal.SIGKILL)  # and with it the namespace's first process
                process.wait(10)

    def run(self, *words: str, seconds: float = 60) -> str:
        """What a command of the image prints, run as the image's user."""
        needs_namespaces()
        done = subprocess.run(
            self._argv(words, {}, entrypoint=()),
            env={"PATH": os.defpath, **self._outer()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _argv(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        entrypoint: Sequence[str] | None = None,
    ) -> list[str]:
        given = dict(each.split("=", 1) for each in self.config.get("Env", ()))
        variables = {"HOME": self._account()[2], **given, **env}.items()
        first = self.config.get("Entrypoint") or () if entrypoint is None else entrypoint
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts"),
            *(
                "sh",
                "-c",
                _START,
                "start",
                *(f"{name}={value}" for name, value in variables),
            ),
            *("/bin/sh", "-c", _INSIDE, self.config.get("WorkingDir") or "/", *first, *words),
        ]

    def _outer(self) -> dict[str, str]:
        uid, gid, _ = self._account()
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
        return {"ROOT": str(self.folder), "WHO": f"{uid}:{gid}", "CHROOT": chroot}

    def _account(self) -> tuple[int, int, str]:
        """Number, group and home of the image's user, by its own ``/etc/passwd``."""
        user, _, group = (self.config.get("User") or "root").partition(":")
        for line in (self.folder / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, _, home, *_ = line.split(":")
            if user in {name, uid}:
                return int(uid), int(group) if group.isdigit() else int(gid), home
        raise AssertionError(f"the image has no account {user}")


def unpacked(pulled: Pulled, folder: Path, *, shared: Path | None = None) -> Rootfs:
    """The image at ``folder``. A base is unpacked once, into ``shared``, and linked from there."""
    first, *others = pulled.layers
    if shared is None:
        folder.mkdir(parents=True)
        _apply_from(pulled, first, folder)
    else:
        base = shared / first["digest"].replace(":", "-")
        if not base.exists():
            _in_place(pulled, first, base)
        subprocess.run(["cp", "-al", base, folder], check=True)
    for each in others:
        _apply_from(pulled, each, folder)
    return Rootfs(folder, pulled.config["config"])


def _in_place(pulled: Pulled, layer: Mapping[str, Any], base: Path) -> None:
    part = base.with_name(f"{base.name}.part")
    part.mkdir(parents=True)
    _apply_from(pulled, layer, part)
    part.rename(base)


def _apply_from(pulled: Pulled, layer: Mapping[str, Any], root: Path) -> None:
    with pulled.blob(layer["digest"]) as stream:
        apply(stream, root)


def apply(layer: IO[bytes], root: Path) -> None:
    """One layer over what lies below. It may lead out of ``root`` in no way."""
    new: set[Path] = set()
    with tarfile.open(fileobj=layer, mode="r|*") as tar:
        for member in tar:
            path = root / member.name.lstrip("/")
            if path == root:
                continue
            assert path.parent.resolve().is_relative_to(root), member.name
            if path.name == _OPAQUE:
                for each in path.parent.iterdir():
                    if each not in new:
                        _remove(each)
            elif path.name.startswith(_WHITEOUT):
                _remove(path.with_name(path.name.removeprefix(_WHITEOUT)))
            else:
                if not (member.isdir() and path.is_dir()):
                    _remove(path)
                new.add(path)
                tar.extract(member, root, numeric_owner=True, filter="fully_trusted")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def needs_namespaces() -> None:
    """Skips the test where nobody may make them."""
    if why := _no_namespaces():
        pytest.skip(why)


@cache
def _no_namespaces() -> str:
    if os.geteuid() != 0:
        return "a rootfs of its own needs root"
    try:
        tried = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "mount", "-t", "proc")
        subprocess.run([*tried, "proc", "/proc"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no namespaces here: {error}"
    return ""
