"""A package index that lists a folder of wheels for whoever says the right password."""

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from typing_extensions import override


@dataclass(slots=True)
class PrivateIndex:
    """``asked`` are the paths that somebody with the right password asked for."""

    shelf: Path
    user: str
    password: str
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    @property
    def address(self) -> str:
        """With everything that opens it, as a person writes it into a setting."""
        secret = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return self.url.replace("://", f"://{secret}@")

    @property
    def taken(self) -> set[str]:
        """Names of files that were fetched."""
        return {path.rpartition("/")[2] for path in self.asked if path.startswith("/files/")}

    def admits(self, header: str | None) -> bool:
        secret = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return header == f"Basic {secret}"

    def page(self, project: str) -> str:
        names = sorted(each.name for each in self.shelf.iterdir())
        own = [each for each in names if _project(each) == project]
        return "".join(f'<a href="/files/{quote(each)}">{each}</a>\n' for each in own)


@contextmanager
def private_index(
    shelf: Path, *requirements: str, user: str, password: str
) -> Iterator[PrivateIndex]:
    """With the wheels of ``requirements``, and what ``shelf`` has already."""
    if requirements:
        _fill(shelf, requirements)
    index = PrivateIndex(shelf, user, password)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, index))
    index.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _fill(shelf: Path, requirements: tuple[str, ...]) -> None:
    """By pip, which can fetch without installing; of an interpreter that has one."""
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    fetch = (python, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(shelf))
    done = subprocess.run(
        (*fetch, *requirements), capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"no wheels to fill an index with: {done.stderr[-500:]}")


def _project(file: str) -> str:
    return file.partition("-")[0].lower().replace("_", "-").replace(".", "-")


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, index: PrivateIndex, *arguments: Any) -> None:
        self._index = index
        super().__init__(*arguments)

    def do_GET(self) -> None:
        kind, _, name = unquote(self.path).strip("/").partition("/")
        if not self._index.admits(self.headers.get("Authorization")):
            self._say(401, b"")
            return
        self._index.asked.append(unquote(self.path))
        if kind == "simple" and (page := self._index.page(name)):
            self._say(200, page.encode(), "text/html")
        elif kind == "files" and (file := self._index.shelf / Path(name).name).is_file():
            self._say(200, file.read_bytes(), "application/octet-stream")
        else:
            self._say(404, b"")

    def _say(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
