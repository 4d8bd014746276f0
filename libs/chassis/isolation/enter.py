"""Run by an interpreter of its own as process 1 of new namespaces: hides, drops, starts, waits.

``python -I -S enter.py DESCRIPTOR PROGRAM [ARGUMENT ...]``; the descriptor holds what to show, as
JSON. Nothing is imported that the standard library does not have, and nothing after the old root
is gone.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from types import FrameType
from typing import Any, Final

_TMP: Final = "/tmp"  # noqa: S108 - the name that programs know
_BASE: Final = _TMP
"""Where the first root is mounted: any folder that is there will do."""
_OLD: Final = "/old"
_NEW: Final = "/new"

_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_READ_ONLY: Final = 1
_DETACH: Final = 2
_MOUNT_SETATTR: Final = 442  # of every architecture
_HERE, _AT_RECURSIVE = -100, 0x8000

_NO_NEW_PRIVILEGES, _BOUNDING_DROP, _AMBIENT, _AMBIENT_CLEAR = 38, 24, 47, 4
_SECCOMP, _SECCOMP_FILTER = 22, 2
_CAPABILITY_VERSION: Final = 0x20080522

_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_OF_KERNEL: Final = ("sys", "sysrq-trigger", "irq", "bus")
"""Below /proc: root without a capability could still write some of it."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, _ended)  # process 1 would ignore it
    with os.fdopen(int(argv[1])) as told:
        shown = json.load(told)
    _show(shown)
    _drop(shown["ids"])
    _refuse(bytes.fromhex(shown["refusals"]))
    child = os.fork()
    if child == 0:
        _execute(argv[2:], {**shown["env"], **_marks()}, shown["home"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _ended(_number: int, _frame: FrameType | None) -> None:
    os._exit(128 + signal.SIGTERM)


def _marks() -> dict[str, str]:
    """By which the process is found again. Nothing else of our own environment is passed on."""
    return {name: value for name, value in os.environ.items() if name.startswith("LANE_")}


def _execute(argv: list[str], env: dict[str, str], home: str) -> None:
    try:
        os.chdir(home)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execve(argv[0], argv, env)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{argv[0]} cannot be started: {error}\n")
        sys.stderr.flush()
        os._exit(127)


def _show(shown: dict[str, Any]) -> None:
    """A new root with what is to be seen, and the old one gone."""
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    _mount("tmpfs", _BASE, _NOSUID | _NODEV, kind="tmpfs", options="mode=755")
    os.mkdir(_BASE + _OLD)
    os.mkdir(_BASE + _NEW)
    _call("pivot_root", _BASE.encode(), (_BASE + _OLD).encode())
    os.chdir("/")
    _mount("tmpfs", _NEW, _NOSUID | _NODEV, kind="tmpfs", options="mode=755")
    os.mkdir(_NEW + _TMP)
    _mount("tmpfs", _NEW + _TMP, _NOSUID | _NODEV, kind="tmpfs", options="mode=1777")
    for path, target in shown["links"]:
        os.symlink(target, _NEW + path)
    for source, path, writable in shown["mounts"]:
        _bind(source, path)
        _restrict(_NEW + path, _NOSUID | _NODEV | (0 if writable else _READ_ONLY))
    _dev(shown["devices"])
    _proc(limited=shown["ids"] is None)
    _restrict(_NEW, _READ_ONLY, recursive=False)
    _call("umount2", _OLD.encode(), _DETACH)
    os.chdir(_NEW)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _dev(devices: list[str]) -> None:
    folder = f"{_NEW}/dev"
    os.mkdir(folder)
    _mount("tmpfs", folder, _NOSUID | _NOEXEC, kind="tmpfs", options="mode=755,size=64k")
    for path in (*(f"/dev/{name}" for name in _DEVICES), *devices):
        if os.path.exists(_OLD + path):
            _bind(path, path)
    os.mkdir(f"{folder}/shm")
    _mount("tmpfs", f"{folder}/shm", _NOSUID | _NODEV, kind="tmpfs", options="mode=1777")
    os.symlink("/proc/self/fd", f"{folder}/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{folder}/{name}")
    _restrict(folder, _READ_ONLY, recursive=False)


def _proc(*, limited: bool) -> None:
    folder = f"{_NEW}/proc"
    os.mkdir(folder)
    _mount("proc", folder, _NOSUID | _NODEV | _NOEXEC, kind="proc")
    if limited:  # in a user namespace of its own: no other one below it
        with open(f"{folder}/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    for name in _OF_KERNEL:
        path = f"{folder}/{name}"
        if os.path.exists(path):
            _mount(path, path, _BIND | _RECURSIVE)
            _restrict(path, _READ_ONLY)


def _bind(source: str, path: str) -> None:
    """Where ``source`` is a file a file is made to mount it on, else a folder."""
    at = _NEW + path
    if os.path.isdir(_OLD + source):
        os.makedirs(at, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(at), exist_ok=True)
        if not os.path.exists(at):
            with open(at, "a"):
                pass
    _mount(_OLD + source, at, _BIND | _RECURSIVE)


def _drop(ids: list[int] | None) -> None:
    """For good: identity, capabilities, and every way to get them back."""
    capability = 0
    while _libc.prctl(_BOUNDING_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    if ids is not None:
        os.setgroups([])
        os.setresgid(ids[1], ids[1], ids[1])
        os.setresuid(ids[0], ids[0], ids[0])
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION, 0))
    _call("capset", header, ctypes.create_string_buffer(24))
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _refuse(program: bytes) -> None:
    """A seccomp filter, for us and all below; nothing where there is none."""
    if program:
        steps = ctypes.create_string_buffer(program, len(program))
        described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
        _call("prctl", _SECCOMP, _SECCOMP_FILTER, ctypes.create_string_buffer(described), 0, 0)


def _mount(source: str, at: str, flags: int, *, kind: str = "", options: str = "") -> None:
    told = (source.encode(), at.encode(), kind.encode() or None, flags, options.encode() or None)
    _call("mount", *told, where=at)


def _restrict(path: str, attributes: int, *, recursive: bool = True) -> None:
    wanted = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0))
    flags = _AT_RECURSIVE if recursive else 0
    size = ctypes.c_size_t(32)
    _call("syscall", _MOUNT_SETATTR, _HERE, path.encode(), flags, wanted, size, where=path)


def _call(name: str, *arguments: Any, where: str = "") -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} {where}: {os.strerror(number)}".strip())


if __name__ == "__main__":
    try:
        status = main(sys.argv)
    except OSError as trouble:
        sys.stderr.write(f"it cannot be isolated: {trouble}\n")
        status = 126
    os._exit(status)
