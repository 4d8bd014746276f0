"""A bento's server that tries, when it is asked, what a bento may not do, and says what it could.

TARGETS in its environment holds the paths and the process that it goes for, as JSON.
"""

import ctypes
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TARGETS = json.loads(os.environ["TARGETS"])
LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000


def read(name: str) -> Callable[[], bool]:
    return lambda: bool(Path(TARGETS[name]).read_bytes())


def read_in_temporary_folders() -> bool:
    """Where an earlier life of it may have left a link."""
    name = Path(TARGETS["keys"]).name
    return any((Path(each) / name).exists() for each in ("/tmp", os.environ["TMPDIR"]))


def read_around() -> bool:
    """By the root folders of every process there is."""
    at = TARGETS["keys"]
    return any(_holds(f"/proc/{pid}/root{at}", b"") for pid in _pids())


def environment_of_another() -> bool:
    own = b"TARGETS="
    return any(
        _holds(f"/proc/{pid}/environ", TARGETS["variable"].encode())
        and not _holds(f"/proc/{pid}/environ", own)
        for pid in _pids()
    )


def sees_another() -> bool:
    return any(_holds(f"/proc/{pid}/cmdline", TARGETS["program"].encode()) for pid in _pids())


def lists_hidden() -> bool:
    """What leads to the interpreter apart."""
    hidden = ("/root", "/home", "/run", "/var", "/mnt", "/old", "/boot")
    seen = {each for folder in hidden for each in _entries(folder)}
    return bool(seen - {Path(sys.base_prefix), *Path(sys.base_prefix).parents})


def writes_its_bento() -> bool:
    (Path(TARGETS.get("bento") or Path(__file__).parent) / "added").touch()
    return True


def writes_its_environment() -> bool:
    (Path(os.environ["VIRTUAL_ENV"]) / "added").touch()
    return True


def writes_the_system() -> bool:
    added = Path("/etc/added-by-an-intruder")
    added.touch()
    added.unlink()
    return True


def writes_the_kernel() -> bool:
    """Opened, never written."""
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return True


def signals_another() -> bool:
    os.kill(TARGETS["victim"], signal.SIGCONT)
    return True


def traces_another() -> bool:
    if LIBC.ptrace(16, TARGETS["victim"], 0, 0) != 0:
        return False
    os.waitpid(TARGETS["victim"], 0)
    return bool(LIBC.ptrace(17, TARGETS["victim"], 0, 0) == 0)


def mounts() -> bool:
    place = Path.cwd() / "mounted"
    place.mkdir(exist_ok=True)
    return _mount(place) and LIBC.umount2(str(place).encode(), 2) == 0


def becomes_root_again() -> bool:
    """Also by a program that belongs to root and may change identity."""
    for program in ("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd"):
        with suppress(OSError):
            if Path(program).stat().st_mode & stat.S_ISUID and not _no_new_privileges():
                return True
    if os.getuid() != 0:
        os.setresuid(0, 0, 0)
    return b"CapEff:\t0000000000000000" not in Path("/proc/self/status").read_bytes()


def undoes_mounts_in_a_namespace() -> bool:
    """In a child: a user namespace of its own makes it root there, which must not help."""
    child = os.fork()
    if child == 0:
        won = False
        with suppress(OSError):
            won = LIBC.unshare(NEW_USER | NEW_MOUNTS) == 0 and _uncovers()
        os._exit(42 if won else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def makes_a_user_namespace() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(42 if LIBC.unshare(NEW_USER) == 0 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def inherits_a_descriptor() -> bool:
    """To a file that it has not opened, its output apart."""
    return any(str(_leads_to(each)).startswith("/memfd:") for each in range(100))


def makes_a_device() -> bool:
    place = Path.cwd() / "disk"
    place.unlink(missing_ok=True)
    os.mknod(place, stat.S_IFBLK | 0o600, Path("/usr").stat().st_dev)
    with place.open("rb") as disk:
        return len(disk.read(1)) == 1


def connects() -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(TARGETS["socket"])
    return True


def _uncovers() -> bool:
    for line in Path("/proc/self/mountinfo").read_text().splitlines()[::-1]:
        at = line.split()[4]
        LIBC.mount(b"none", at.encode(), None, 32 | 4096, None)  # writable again
        with suppress(OSError):
            (Path("/etc") / "added-by-an-intruder").touch()
            return True
        LIBC.umount2(at.encode(), 2)
    return _holds(TARGETS["keys"], b"")


def _leads_to(descriptor: int) -> Path | None:
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        return None


def _mount(place: Path) -> bool:
    return bool(LIBC.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, None) == 0)


def _no_new_privileges() -> bool:
    return bool(LIBC.prctl(39, 0, 0, 0, 0) == 1)


def _pids() -> Iterator[int]:
    return (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _holds(path: str, content: bytes) -> bool:
    try:
        return content in Path(path).read_bytes()
    except OSError:
        return False


def _entries(path: str) -> list[Path]:
    try:
        return list(Path(path).iterdir())
    except OSError:
        return []


ATTEMPTS: dict[str, Callable[[], bool]] = {
    "reads keys": read("keys"),
    "reads keys around": read_around,
    "reads keys in temporary folders": read_in_temporary_folders,
    "reads another image": read("image"),
    "reads the database": read("database"),
    "reads the environment of another process": environment_of_another,
    "sees another process": sees_another,
    "lists hidden folders": lists_hidden,
    "writes its bento": writes_its_bento,
    "writes its environment": writes_its_environment,
    "writes the system": writes_the_system,
    "writes the kernel": writes_the_kernel,
    "signals another process": signals_another,
    "traces another process": traces_another,
    "mounts": mounts,
    "becomes root again": becomes_root_again,
    "undoes mounts in a namespace": undoes_mounts_in_a_namespace,
    "makes a user namespace": makes_a_user_namespace,
    "inherits a descriptor": inherits_a_descriptor,
    "makes a device": makes_a_device,
    "connects to a socket": connects,
}


def succeeded() -> list[str]:
    done = []
    for name, attempt in ATTEMPTS.items():
        with suppress(OSError):
            if attempt():
                done.append(name)
    return done


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in {"/readyz", "/livez"}:
            return self.answer({})
        if self.path == "/may":
            scratch = [Path.cwd() / "own", Path("/tmp/own"), Path("/dev/shm/own")]
            for each in scratch:
                each.write_text("mine")
            return self.answer({"wrote": len(scratch), "secret": Path("given").read_text()})
        return self.answer({"tried": len(ATTEMPTS), "succeeded": succeeded()})

    def answer(self, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[sys.argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
