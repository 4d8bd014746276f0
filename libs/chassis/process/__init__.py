"""Child processes that outlive their parent: started with a record, found again, stopped whole.

Used by whoever supervises on one machine; knows no domain word.
"""

from libs.chassis.process.children import Command, Process, adopt, register, spawn
from libs.chassis.process.identity import (
    MARKER,
    Identity,
    Leftover,
    identify,
    leftovers,
    stop_leftovers,
)
from libs.chassis.process.logs import follow, rotate, tail
from libs.chassis.process.oneshot import allowed, tool
from libs.chassis.process.records import Record, load_records

__all__ = [
    "MARKER",
    "Command",
    "Identity",
    "Leftover",
    "Process",
    "Record",
    "adopt",
    "allowed",
    "follow",
    "identify",
    "leftovers",
    "load_records",
    "register",
    "rotate",
    "spawn",
    "stop_leftovers",
    "tail",
    "tool",
]
