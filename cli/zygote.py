"""``python -m cli.zygote FD``: a process that has imported everything once and forks on command.

It has neither threads nor an event loop. Orders come as JSON lines over the socket ``FD``, with
descriptors beside them; a child is told its descriptors by number in its environment. When the
socket closes it ends; its children go on.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

MAX_ORDER: Final = 256 * 1024
MAX_DESCRIPTORS: Final = 8
_PRELOADED: Final = (
    "cli.bootstrap",
    "services.registry.__main__",
    "services.builder.__main__",
    "services.deployer.__main__",
    "services.gateway.__main__",
    "services.events.__main__",
)
_TITLE_LENGTH: Final = 15


@dataclass(frozen=True, slots=True)
class Order:
    """Run ``module.main(argv)`` in a child. ``descriptors`` names a variable for each one sent."""

    name: str
    module: str
    argv: tuple[str, ...]
    env: dict[str, str]
    log: str
    descriptors: tuple[str, ...] = ()

    def line(self) -> bytes:
        told = {name: getattr(self, name) for name in Order.__dataclass_fields__}
        return json.dumps(told).encode() + b"\n"


class Zygote:
    """Reads orders, forks, reaps. One thread, no loop: a fork copies nothing half done."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._buffer = b""
        self._descriptors: list[int] = []
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)  # noqa: FBT003 - its only parameter, positional
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> int:
        self._say(ready=os.getpid())
        while True:
            readable, _, _ = select.select([self._orders, self._woken], [], [])
            if self._woken in readable:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
                self._reap()
            if self._orders in readable and not self._receive():
                return 0

    def _receive(self) -> bool:
        """False once nobody is there to give orders."""
        data, descriptors, _, _ = socket.recv_fds(self._orders, MAX_ORDER, MAX_DESCRIPTORS)
        if not data:
            return False
        self._buffer += data
        self._descriptors += descriptors
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            told = json.loads(line)
            order = Order(
                **{**told, "argv": tuple(told["argv"]), "descriptors": tuple(told["descriptors"])}
            )
            sent = self._descriptors[: len(order.descriptors)]
            del self._descriptors[: len(sent)]
            self._fork(order, sent)
        return True

    def _fork(self, order: Order, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            _run_child(order, descriptors, close=(self._orders, self._woken, self._wake))
        for each in descriptors:
            os.close(each)
        self._say(forked=pid)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._say(exited=pid, status=os.waitstatus_to_exitcode(status))

    def _say(self, **told: int) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._orders.sendall(json.dumps(told).encode() + b"\n")


def _run_child(
    order: Order, descriptors: list[int], *, close: tuple[socket.socket, ...]
) -> NoReturn:
    """Become what was ordered. Leaves by ``os._exit``, so that nothing of the parent is unwound."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for each in close:
            each.close()
        os.setsid()
        _attach_log(order.log)
        _name_process(order.name)
        os.environ.update(order.env)
        os.environ.update(dict(zip(order.descriptors, map(str, descriptors), strict=True)))
        sys.argv = [order.module, *order.argv]
        code = importlib.import_module(order.module).main(list(order.argv))
    except SystemExit as ended:
        code = _exit_code(ended)
    except BaseException:  # noqa: BLE001 - the process ends here, with its reason in its log
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _exit_code(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1


def _attach_log(log: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(output)


def _name_process(name: str) -> None:
    """What ``ps`` and ``top`` show; where the system has no such thing, nothing."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"yok-{name}"[:_TITLE_LENGTH])


def _preload() -> Iterator[str]:
    """A module that cannot be imported is a trouble of the child that will need it, not ours."""
    for name in _PRELOADED:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module's import may raise
            yield f"{name}: {error!r}"


def main(argv: list[str]) -> int:
    with socket.socket(fileno=int(argv[0])) as orders:
        orders.set_inheritable(False)
        for trouble in _preload():
            sys.stderr.write(f"not preloaded: {trouble}\n")
        sys.stderr.flush()
        gc.collect()
        gc.freeze()
        _name_process("zygote")
        return Zygote(orders).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
