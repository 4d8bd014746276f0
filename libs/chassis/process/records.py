"""What is remembered of a child on disk, so that another process can find it again."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from libs.chassis.process.identity import Identity


@dataclass(frozen=True, slots=True)
class Record:
    """One child: who it is, by which name it was started, and as what."""

    name: str
    pid: int
    started: int
    boot_id: str
    marker: str
    token: str
    argv: tuple[str, ...]
    path: Path

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.started, self.boot_id)


def write_record(record: Record) -> None:
    """Whole or not at all, and on the disk when this returns."""
    body = {key: value for key, value in asdict(record).items() if key != "path"}
    record.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = record.path.with_suffix(".new")
    with temporary.open("w") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(record.path)
    folder = os.open(record.path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def record_path(record_dir: Path, name: str) -> Path:
    return record_dir / f"{name}.json"


def load_records(record_dir: Path) -> list[Record]:
    """Every readable record in ``record_dir``, by name; a torn one is as good as none."""
    return sorted(_read_all(record_dir), key=lambda record: record.name)


def _read_all(record_dir: Path) -> Iterator[Record]:
    for path in record_dir.glob("*.json"):
        try:
            body = json.loads(path.read_bytes())
            yield Record(**{**body, "argv": tuple(body["argv"])}, path=path)
        except (OSError, ValueError, TypeError, KeyError):
            continue
