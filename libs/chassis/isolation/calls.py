"""Calls of the kernel that models and builds do without, refused: doors that need no privilege.

A user namespace of its own would make a program root there, before a kernel that was seldom
attacked as root. Engines of containers refuse the same.
"""

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ENOSYS, EPERM
from typing import Final

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT, _FLAGS_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NEW_USER: Final = 0x10000000
_OTHER_TABLE: Final = 0x40000000
"""Of x86-64: the same calls, counted anew."""
_CLONE3: Final = 435
"""Its flags lie in memory, where no filter can look; who is refused takes ``clone``."""
_IO_URING: Final = 425


@dataclass(frozen=True, slots=True)
class _Machine:
    """Its name for the kernel, and what its calls are numbered."""

    audit: int
    clone: int
    unshare: int
    refused: tuple[int, ...]
    """setns, keyctl, add_key, request_key, bpf, perf_event_open, userfaultfd, open_by_handle_at"""


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 56, 272, (308, 250, 248, 249, 321, 298, 323, 304)),
    "aarch64": _Machine(0xC00000B7, 220, 97, (268, 219, 217, 218, 280, 241, 282, 265)),
}


def refusals() -> bytes:
    """A seccomp filter; empty on a machine whose numbers are not listed."""
    machine = _MACHINES.get(platform.machine())
    return b"".join(_filter(machine)) if machine is not None else b""


def _filter(machine: _Machine) -> Iterator[bytes]:
    yield _step(_LOAD, _MACHINE_AT)
    yield from _answer(_EQUAL, machine.audit, EPERM, unless=True)
    yield _step(_LOAD, _NUMBER_AT)
    yield from _answer(_AT_LEAST, _OTHER_TABLE, EPERM)
    yield from _answer(_EQUAL, _CLONE3, ENOSYS)
    for number in (*machine.refused, _IO_URING):
        yield from _answer(_EQUAL, number, EPERM)
    yield _step(_EQUAL, machine.clone, yes=2)
    yield _step(_EQUAL, machine.unshare, yes=1)
    yield _step(_RETURN, _ALLOW)
    yield _step(_LOAD, _FLAGS_AT)
    yield from _answer(_ANY_BIT, _NEW_USER, EPERM)
    yield _step(_RETURN, _ALLOW)


def _answer(test: int, value: int, error: int, *, unless: bool = False) -> Iterator[bytes]:
    """Refuse with ``error`` what the test finds, or what it does not."""
    yield _step(test, value, yes=int(unless), no=int(not unless))
    yield _step(_RETURN, _ERROR | error)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
